/** What each operation costs Redis in commands, which are the same on every machine, not in time. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePuback } from '../kit/wire-encoder.ts'
import { redisStores } from '../store/redis-stores.ts'
import { connectAt } from './cluster.ts'
import { CommandCount } from './command-count.ts'

/** Commands of one operation at most, in a cluster of two nodes. */
const BOUNDS = {
  'CONNECT, clean': 6,
  'CONNECT, a new session': 10,
  'CONNECT, a session that is resumed': 13,
  'SUBSCRIBE to 1 filter, clean': 9,
  'SUBSCRIBE to 1 filter, persistent': 12,
  'SUBSCRIBE to 100 filters, clean': 9,
  'SUBSCRIBE to 100 filters, persistent': 12,
  'SUBSCRIBE to 1 wildcard, clean': 9,
  'PUBLISH QoS 1 to 0 sessions': 0,
  'PUBLISH QoS 1 to 1 session': 4,
  'PUBLISH QoS 1 to 100 sessions': 170,
  'PUBLISH QoS 1 to 10,000 sessions': 190,
  'PUBACK of 100 messages': 3,
  'DISCONNECT, clean': 2,
  'DISCONNECT, persistent': 4,
  'a start with 10,000 stored sessions': 2_300,
} as const

/** This number of sessions is connected, at both nodes in turn; the others are offline. */
const CONNECTED_MAX = 100
const MANY = 10_000
const QUEUED = 100

const resources = new AsyncDisposableStack()
let redis: TestRedis
let prefix: string
let nodes: readonly [TestNode, TestNode]
let count: CommandCount

beforeAll(async () => {
  // What others send to the same server would count too.
  redis = resources.use(await startRedis({ args: ['--maxclients', '1000'] }))
  await using stores = redisStores(redis)
  const store = await stores.openRaw()
  prefix = stores.settings.prefix
  const settings = { redisUrl: redis.url, redisPrefix: prefix }
  await Promise.all(
    Array.from({ length: MANY - CONNECTED_MAX }, async (_, index) => {
      const clientId = `away-${index}`
      const claim = { clientId, nodeId: 'none', user: '', persistent: true }
      const claimed = await store.claimClient(claim)
      if (typeof claimed === 'string') throw new Error(claimed)
      const owner = { clientId, epoch: claimed.epoch }
      await store.addSubscriptions(owner, [{ filter: `to/${MANY}`, qos: 1 }])
      await store.leaveClient(owner)
    }),
  )
  nodes = [resources.use(await startNode(settings)), resources.use(await startNode(settings))]
  count = resources.use(await CommandCount.on(redis.url))
}, 60_000)
afterAll(() => resources.disposeAsync())
// The clients of the test before have left.
beforeEach(() => count.settled())

async function expectWithin<Result>(
  name: keyof typeof BOUNDS,
  work: () => Promise<Result>,
): Promise<Result> {
  const { result, commands, total } = await count.of(work)
  expect.soft(total, `${name}: ${JSON.stringify(commands)}`).toBeLessThanOrEqual(BOUNDS[name])
  return result
}

function filters(length: number): (readonly [string, number])[] {
  return Array.from({ length }, () => [unique('f'), 1])
}

it('a clean session costs a bounded number of Redis commands: CONNECT, SUBSCRIBE, DISCONNECT', async () => {
  const [node] = nodes
  await using client = await expectWithin('CONNECT, clean', () => connectAt(node))
  await expectWithin('SUBSCRIBE to 1 filter, clean', () => client.subscribe(...filters(1)))
  await expectWithin('SUBSCRIBE to 100 filters, clean', () => client.subscribe(...filters(100)))
  await expectWithin('SUBSCRIBE to 1 wildcard, clean', () =>
    client.subscribe([`${unique('f')}/#`, 1]),
  )
  await expectWithin('DISCONNECT, clean', () => client.disconnect())
})

it('a persistent session costs a bounded number of Redis commands: CONNECT, SUBSCRIBE, DISCONNECT, and CONNECT again', async () => {
  const [node, other] = nodes
  const fields = { clientId: unique('p'), clean: false }
  await using client = await expectWithin('CONNECT, a new session', () => connectAt(node, fields))
  await expectWithin('SUBSCRIBE to 1 filter, persistent', () => client.subscribe(...filters(1)))
  await expectWithin('SUBSCRIBE to 100 filters, persistent', () =>
    client.subscribe(...filters(100)),
  )
  await expectWithin('DISCONNECT, persistent', () => client.disconnect())
  await count.settled()
  await using _ = await expectWithin('CONNECT, a session that is resumed', () =>
    connectAt(other, fields),
  )
})

it.each([
  [0, 'PUBLISH QoS 1 to 0 sessions'],
  [1, 'PUBLISH QoS 1 to 1 session'],
  [100, 'PUBLISH QoS 1 to 100 sessions'],
  [MANY, 'PUBLISH QoS 1 to 10,000 sessions'],
] as const)(
  'a QoS 1 message to %i sessions at two nodes costs a bounded number of Redis commands',
  async (sessions, name) => {
    await using stack = new AsyncDisposableStack()
    const topic = `to/${sessions}`
    const connected: WireClient[] = []
    for (let index = 0; index < Math.min(sessions, CONNECTED_MAX); index += 1) {
      const at = nodes[index % nodes.length] as TestNode
      const client = stack.use(await connectAt(at, { clientId: unique('s'), clean: false }))
      await client.subscribe([topic, 1])
      connected.push(client)
    }
    await using publisher = await connectAt(nodes[0])
    await expectWithin(name, async () => {
      await publisher.publish({ topic, payload: 'x', qos: 1 })
      await Promise.all(connected.map((client) => client.expect('publish')))
    })
    if (sessions <= CONNECTED_MAX) return
    const operator = new Redis(redis.url)
    stack.defer(() => operator.disconnect())
    for (const away of [0, sessions - CONNECTED_MAX - 1])
      expect(await operator.xlen(keysWith(prefix).queue(`away-${away}`))).toBe(1)
  },
)

it('100 PUBACKs sent together cost a bounded number of Redis commands', async () => {
  await using client = await connectAt(nodes[0], { clientId: unique('s'), clean: false })
  const topic = unique('t')
  await client.subscribe([topic, 1])
  await using publisher = await connectAt(nodes[1])
  const packetIds: number[] = []
  for (let index = 0; index < QUEUED; index += 1) {
    await publisher.publish({ topic, payload: 'x', qos: 1 })
    packetIds.push((await client.expect('publish')).packetId)
  }
  await expectWithin('PUBACK of 100 messages', async () => {
    client.send(...packetIds.map(encodePuback))
    await client.expectSilence()
  })
})

it('a node that starts asks for many stored sessions at once', async () => {
  const settings = { redisUrl: redis.url, redisPrefix: prefix }
  await using _ = await expectWithin('a start with 10,000 stored sessions', () =>
    startNode(settings),
  )
})
