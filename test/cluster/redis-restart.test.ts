/** Redis restarts with its data: every message acknowledged before, during and after the restart is there. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil, startCluster } from './cluster.ts'

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--enable-debug-command', 'yes']
const MARKER = 'the end'

it('a restart of Redis loses no acknowledged message, retained message or session', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using cluster = await startCluster({}, DURABLE)
  const topic = unique('t')
  const clientId = unique('c')
  await using away = await connectAt(cluster.c, { clientId, clean: false })
  await away.subscribe([topic, 1])
  await away.disconnect()
  await using publisher = await connectAt(cluster.a)
  const retained = unique('r')
  await publisher.publish({ topic: retained, payload: 'kept', qos: 1, retain: true })
  const before = await runId(cluster.redis.url)

  const count = 300
  for (let index = 0; index < count; index++) {
    const packetId = publisher.nextPacketId()
    publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
    if (index === 100) await restart(cluster.redis.url)
  }
  for (let index = 0; index < count; index++) await publisher.expect('puback')
  await publisher.publish({ topic, payload: MARKER, qos: 1 })
  expect(await runId(cluster.redis.url)).not.toBe(before)
  await using resumed = await connectAt(cluster.b, { clientId, clean: false })
  const received = await receiveUntil(resumed, MARKER)
  expect([...new Set(received.map(Number))]).toEqual(Array.from({ length: count }, (_, i) => i))
  await resumed.subscribe([retained, 1])
  expect(await resumed.receive(1)).toMatchObject([{ payload: Buffer.from('kept'), retain: true }])
})

it('a node that was declared dead during a restart of Redis closes its clean subscribers, which may have missed messages', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startRedis({ args: DURABLE })
  await using proxy = await startRedisProxy(redis.url)
  const settings = { redisPrefix: redis.prefix, limits: { nodeLeaseMs: 1_000, viewLeaseMs: 400 } }
  await using a = await startNode({ ...settings, redisUrl: proxy.url })
  await using b = await startNode({ ...settings, redisUrl: redis.url })
  await using admin = await redisClient(redis.url, null)
  await using live = await connectAt(a)
  const topic = unique('t')
  await live.subscribe([topic, 1])
  await using publisher = await connectAt(b)

  await proxy.refuse()
  await restart(redis.url)
  const { clusterNodes } = keysWith(redis.prefix)
  await expect.poll(() => admin.redis.hexists(clusterNodes, a.id)).toBe(0)
  await publisher.publish({ topic, payload: 'unseen', qos: 1 })
  await proxy.restore()

  await a.logged(({ reason }) => reason === 'lease-lost')
  await live.expectClosed()
})

/** Redis runs itself again, under the same port and with its append-only file. */
async function restart(url: string): Promise<void> {
  await using client = await redisClient(url)
  await client.redis.call('DEBUG', 'RESTART').catch(() => undefined)
}

async function runId(url: string): Promise<string | undefined> {
  await using client = await redisClient(url)
  return /run_id:(\w+)/.exec(await client.redis.info('server'))?.[1]
}

/** `maxRetriesPerRequest`: null for what may be sent again. */
async function redisClient(
  url: string,
  maxRetriesPerRequest: number | null = 0,
): Promise<{ readonly redis: Redis } & AsyncDisposable> {
  const redis = new Redis(url, { maxRetriesPerRequest, lazyConnect: true })
  redis.on('error', () => undefined)
  await redis.connect()
  return { redis, [Symbol.asyncDispose]: async () => redis.disconnect() }
}
