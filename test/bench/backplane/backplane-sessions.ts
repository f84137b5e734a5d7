/** What 50,000 stored sessions cost: a start, and a publish that all of them get. */
import { createRedisStore, type Store } from '@breakwater/store'
import { PacketFlow } from '../../fault/packet-flow.ts'
import { startRedis, type TestRedis } from '../../kit/redis/redis.ts'
import { encodePublish } from '../../kit/wire-encoder.ts'
import { print, startQuietNode } from './backplane-rig.ts'

const SESSIONS = 50_000
const BATCH = 1_000
const RUNS = 5

/** One filter of its own per session: from spawn to ready, beside a node on an empty Redis. */
export async function measureStart(): Promise<void> {
  await using redis = await startRedis({ args: ['--save', ''] })
  const empty = [await startMs(redis), await startMs(redis)]
  await storeSessions(redis, (index) => `s/${index}/in`)
  const full = [await startMs(redis), await startMs(redis)]
  const [emptyMs, fullMs] = [Math.min(...empty), Math.min(...full)]
  print(
    `node start with ${SESSIONS} stored sessions`,
    `empty ${list(empty)} ms, full ${list(full)} ms, ` +
      `more by ${(fullMs - emptyMs).toFixed(0)} ms (goal < 1,000)`,
  )
}

/** The same filter for all: from PUBLISH to PUBACK. */
export async function measureFanOut(): Promise<void> {
  await using redis = await startRedis({ args: ['--save', ''] })
  await storeSessions(redis, () => 'all/in')
  await using node = await startQuietNode(redis)
  let acknowledged = 0
  await using client = await PacketFlow.connect(node, { clientId: 'publisher' }, ({ type }) => {
    if (type === 'puback') acknowledged += 1
  })
  const times: number[] = []
  for (let run = 1; run <= RUNS; run++) {
    const start = performance.now()
    client.send(encodePublish({ topic: 'all/in', payload: 'x', qos: 1, packetId: run }))
    await client.until(() => acknowledged === run, `PUBACK ${run}`, 30_000)
    times.push(performance.now() - start)
  }
  const sorted = times.toSorted((a, b) => a - b)
  print(
    `QoS 1 publish to ${SESSIONS} offline sessions`,
    `${list(times)} ms, min ${list(sorted.slice(0, 1))}, median ${list(sorted.slice(2, 3))} ` +
      `(goal < 500)`,
  )
}

async function startMs(redis: TestRedis): Promise<number> {
  const start = performance.now()
  await using node = await startQuietNode(redis)
  const tookMs = performance.now() - start
  await node.kill('SIGTERM')
  return tookMs
}

async function storeSessions(redis: TestRedis, filter: (index: number) => string): Promise<void> {
  await using store = await createRedisStore(
    { url: redis.url, password: undefined, ca: undefined, prefix: redis.prefix },
    {
      queueMessagesMax: 1_000,
      queueBytesMax: 1_048_576,
      timeoutMs: 30_000,
      onFault: (error) => print('store', error.message),
    },
  )
  for (let first = 0; first < SESSIONS; first += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) => first + index)
    await Promise.all(batch.map((index) => storeSession(store, `session-${index}`, filter(index))))
  }
}

async function storeSession(store: Store, clientId: string, filter: string): Promise<void> {
  const claim = { clientId, nodeId: 'bench', user: '', persistent: true }
  const claimed = await store.claimClient(claim)
  if (typeof claimed === 'string') throw new Error(`${clientId}: ${claimed}`)
  const owner = { clientId, epoch: claimed.epoch }
  await store.addSubscriptions(owner, [{ filter, qos: 1 }])
  await store.leaveClient(owner)
}

function list(times: readonly number[]): string {
  return times.map((time) => time.toFixed(0)).join(' ')
}
