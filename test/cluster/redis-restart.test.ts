/** Redis ends and starts again, with its data: what was acknowledged before, meanwhile and after is there. */
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { findProgram } from '../kit/program.ts'
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

/** Redis runs itself again, under the same port and with its append-only file. */
async function restart(url: string): Promise<void> {
  await using client = await redisClient(url)
  await client.redis.call('DEBUG', 'RESTART').catch(() => undefined)
}

async function runId(url: string): Promise<string | undefined> {
  await using client = await redisClient(url)
  return /run_id:(\w+)/.exec(await client.redis.info('server'))?.[1]
}

async function redisClient(url: string): Promise<{ readonly redis: Redis } & AsyncDisposable> {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, lazyConnect: true })
  redis.on('error', () => undefined)
  await redis.connect()
  return { redis, [Symbol.asyncDispose]: async () => redis.disconnect() }
}
