/** A Redis master with a replica, and sentinels that put the one in the place of the other. */
import { Redis } from 'ioredis'
import { startRedisProcess, type RedisServer } from './redis-process.ts'

export interface SentinelRedis extends AsyncDisposable {
  /** For BREAKWATER_REDIS_URL. */
  readonly url: string
  readonly master: RedisServer
  readonly replica: RedisServer
  /** Kills the master once the replica has everything. */
  killMaster(): Promise<void>
  /** Resolves when the sentinels name the replica. */
  failedOver(): Promise<void>
}

const MASTER = 'main'
const SENTINELS = 3
const QUORUM = 2
const DOWN_AFTER_MS = 500
const STEP_MS = 20

export async function startSentinelRedis(): Promise<SentinelRedis> {
  await using stack = new AsyncDisposableStack()
  const master = stack.use(await startRedisProcess([]))
  const port = portOf(master)
  const replica = stack.use(await startRedisProcess(['--replicaof', '127.0.0.1', `${port}`]))
  await using watch = client(replica.url)
  await until(async () => /master_link_status:up/.test(await watch.redis.info('replication')))
  const sentinel = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ].join('\n')
  const sentinels: RedisServer[] = []
  for (let index = 0; index < SENTINELS; index += 1)
    sentinels.push(stack.use(await startRedisProcess([], { sentinel })))
  for (const { url } of sentinels) {
    await using asked = client(url)
    // A vote needs sentinels that know each other and the replica.
    await until(async () => {
      const [facts] = (await asked.redis.call('sentinel', 'masters')) as string[][]
      const fact = (name: string): number => Number(facts?.[facts.indexOf(name) + 1])
      return fact('num-other-sentinels') === SENTINELS - 1 && fact('num-slaves') === 1
    })
  }
  const hosts = sentinels.map((server) => `127.0.0.1:${portOf(server)}`).join(',')
  const resources = stack.move()
  return {
    url: `redis-sentinel://${hosts}/${MASTER}`,
    master,
    replica,
    async killMaster() {
      await using from = client(master.url)
      await using to = client(replica.url)
      const wanted = await offset(from.redis)
      await until(async () => (await offset(to.redis)) >= wanted)
      await master[Symbol.asyncDispose]()
    },
    async failedOver() {
      await using asked = client((sentinels[0] as RedisServer).url)
      await until(async () => {
        const place = await asked.redis.call('sentinel', 'get-master-addr-by-name', MASTER)
        return (place as string[])[1] === `${portOf(replica)}`
      })
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function offset(redis: Redis): Promise<number> {
  return Number(/master_repl_offset:(\d+)/.exec(await redis.info('replication'))?.[1])
}

function portOf({ url }: RedisServer): number {
  return Number(new URL(url).port)
}

function client(url: string): { readonly redis: Redis } & AsyncDisposable {
  const redis = new Redis(url)
  return { redis, [Symbol.asyncDispose]: async () => redis.disconnect() }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('the sentinels did not agree in time')
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}
