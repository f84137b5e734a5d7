/** Redis loses the owners of client ids: the nodes write them again, and each client id has one owner. */
import { bucketOf, keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'

const LEASE_MS = 1_000

it('nodes write their connected clients into a Redis that comes back empty', async () => {
  await using cluster = await startCluster({}, ['--save', ''])
  const clientId = unique('c')
  await using first = await connectAt(cluster.a, { clientId })
  const redis = redisOf(cluster)
  await redis.flushall()
  await expectRecord(cluster, redis, clientId, cluster.a.id)
  await using second = await connectAt(cluster.b, { clientId })
  await first.untilClosed()
  expect(cluster.a.closeReasons()).toEqual(['taken-over'])
  await second.expectSilence()
})

it('a node that was declared dead owns its connected clients again when it comes back', async () => {
  await using cluster = await startCluster({ limits: { nodeLeaseMs: LEASE_MS } })
  await using proxy = await startRedisProxy(cluster.redis.url)
  await using cut = await startNode({ ...cluster.settings, redisUrl: proxy.url })
  const [clientId, other] = [unique('c'), unique('c')]
  const topic = unique('t')
  await using watcher = await connectAt(cluster.a)
  await watcher.subscribe([topic, 1])
  const will = { topic, payload: 'taken for dead', qos: 1 }
  await using first = await connectAt(cut, { clientId, will })
  await using silent = await connectAt(cut, { clientId: other })
  proxy.stall()
  expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('taken for dead') }])
  await proxy.restore()
  const redis = redisOf(cluster)
  for (const id of [clientId, other]) await expectRecord(cluster, redis, id, cut.id)
  for (const client of [first, silent]) await client.expectSilence()
  await using second = await connectAt(cluster.b, { clientId })
  await first.untilClosed()
  await using third = await connectAt(cluster.c, { clientId: other })
  await silent.untilClosed()
  expect(cut.closeReasons()).toEqual(['taken-over', 'taken-over'])
  for (const client of [second, third]) await client.expectSilence()
})

it('a cut-off node owns its connected client again after another connection with that client id came and went elsewhere', async () => {
  await using cluster = await startCluster()
  await using proxy = await startRedisProxy(cluster.redis.url)
  await using cut = await startNode({ ...cluster.settings, redisUrl: proxy.url })
  const clientId = unique('c')
  await using first = await connectAt(cut, { clientId })
  await proxy.refuse()
  await using successor = await connectAt(cluster.a, { clientId })
  await successor.disconnect()
  const redis = redisOf(cluster)
  const key = keysWith(cluster.redis.prefix).owners(bucketOf(clientId))
  await expect.poll(() => redis.hget(key, clientId)).toBe(null)
  await proxy.restore()
  await expectRecord(cluster, redis, clientId, cut.id)
  await first.expectSilence()
  await using second = await connectAt(cluster.b, { clientId })
  await first.untilClosed()
  expect(cut.closeReasons()).toEqual(['taken-over'])
  await second.expectSilence()
})

function redisOf({ redis }: Cluster): Redis {
  const client = new Redis(redis.url)
  // The server ends before it does.
  client.on('error', () => undefined)
  onTestFinished(() => client.disconnect())
  return client
}

async function expectRecord(
  { redis: { prefix } }: Cluster,
  redis: Redis,
  clientId: string,
  nodeId: string,
): Promise<void> {
  const key = keysWith(prefix).owners(bucketOf(clientId))
  await expect.poll(() => redis.hget(key, clientId)).toContain(nodeId)
}
