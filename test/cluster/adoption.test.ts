/** Another node adopts the clients of a departed node, whichever answers are lost meanwhile. */
import { Message } from '@breakwater/bus'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { redisStores } from '../store/redis-stores.ts'
import { connectAt } from './cluster.ts'

const LIMITS = {
  nodeLeaseMs: 1_000,
  viewLeaseMs: 400,
  storeTimeoutMs: 1_500,
  willDrainWindowMs: 1_000,
}
const CLIENTS = 50

let stack: AsyncDisposableStack
let redis: TestRedis
let proxy: RedisProxy
let heir: TestNode
let watcher: WireClient
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  redis = stack.use(await startRedis())
  proxy = stack.use(await startRedisProxy(redis.url))
  const { prefix: redisPrefix } = redis
  heir = stack.use(await startNode({ redisUrl: proxy.url, redisPrefix, limits: LIMITS }))
  watcher = stack.use(await connectAt(heir))
  await watcher.subscribe(['will/#', 0])
  // From here on Redis knows the script: a lost answer is that of a call which was executed.
  const first = unique('first')
  await announceDeparture(await depart([first]))
  await expectWills([first])
})
afterEach(() => stack.disposeAsync())

/** Leaves clients with these names behind, each with a will. */
async function depart(clientIds: readonly string[]): Promise<string> {
  const nodeId = unique('departed')
  await using stores = redisStores(redis, redis.prefix)
  const store = await stores.openRaw()
  for (const clientId of clientIds) {
    const will = new Message(`will/${clientId}`, Buffer.from(clientId), 0, false)
    await store.claimClient({ clientId, nodeId, user: '', persistent: false, will })
  }
  return nodeId
}

async function announceDeparture(nodeId: string): Promise<void> {
  const admin = new Redis(redis.url)
  await admin.zadd(keysWith(redis.prefix).clusterDeparted, 0, nodeId)
  admin.disconnect()
}

const named = (): string[] => Array.from({ length: CLIENTS }, () => unique('client'))

/** Redis gives the clients of this node to the heir, which does not learn of it: the answer is delayed. */
async function departUnheard(nodeId: string): Promise<void> {
  const { silenced } = proxy.silenceAfter(nodeId)
  await announceDeparture(nodeId)
  await silenced
}

async function expectWills(clientIds: readonly string[], by = watcher): Promise<void> {
  const wills = await by.receive(clientIds.length)
  expect(wills.map(({ topic }) => topic.slice('will/'.length)).toSorted()).toEqual(
    clientIds.toSorted(),
  )
}

it('a node adopts the clients of a departed node when the answer of Redis that names the clients is lost', async () => {
  const clientIds = named()
  await departUnheard(await depart(clientIds))
  proxy.cut()
  await expectWills(clientIds)
})

it('a node adopts the clients of a departed node after Redis was unreachable for longer than any time-out', async () => {
  const clientIds = named()
  await departUnheard(await depart(clientIds))
  await proxy.refuse()
  await heir.logged(({ what }) => what === 'clients of a departed node')
  await proxy.restore()
  await expectWills(clientIds)
})

it('a node adopts a client of a departed node although an earlier connection of that client is still open at the adopting node', async () => {
  const [moved, other] = [unique('moved'), unique('other')]
  await using still = await connectAt(heir, { clientId: moved })
  await announceDeparture(await depart([moved]))
  await expectWills([moved])
  await announceDeparture(await depart([other]))
  await expectWills([other])
  await still.expectSilence()
})

it('another node adopts the clients of a departed node when the adopting node stops before it has read their ids', async () => {
  const clientIds = named()
  const nodeId = await depart(clientIds)
  const { prefix: redisPrefix } = redis
  await using other = await startNode({ redisUrl: redis.url, redisPrefix, limits: LIMITS })
  await using mourner = await connectAt(other)
  await mourner.subscribe(['will/#', 0])
  // Otherwise the node would leave a client behind.
  await watcher.disconnect()
  await heir.logged(({ msg, reason }) => msg === 'connection closed' && reason === 'disconnected')
  await departUnheard(nodeId)
  await heir[Symbol.asyncDispose]()
  await expectWills(clientIds, mourner)
})
