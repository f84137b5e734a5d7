/** Sentinels promote a replica: every message that was acknowledged and replicated is there. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { Redis } from 'ioredis'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startSentinelRedis } from '../kit/redis/redis-sentinel.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { WireClient } from '../kit/wire-client.ts'
import { connectAt, receiveUntil } from './cluster.ts'

const MARKER = 'the end'
/** Time enough for a failover: sentinels whose votes are split vote again after ten seconds. */
const limits = { storeTimeoutMs: 60_000 }
const patient = { timeoutMs: 70_000 }

it('a failover by sentinels under load delays publishers, and loses no message that the replica has', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startSentinelRedis()
  const settings = { limits, redisUrl: redis.url }
  await using a = await startNode(settings)
  await using b = await startNode(settings)
  const topic = unique('t')
  const clientId = unique('c')
  await using away = await connectAt(b, { clientId, clean: false })
  await away.subscribe([topic, 1])
  await away.disconnect()
  await using live = await connectAt(b, { clientId: unique('l'), clean: false }, patient)
  await live.subscribe([topic, 1])
  const liveReceived = receiveUntil(live, MARKER)
  await using publisher = await connectAt(a, {}, patient)

  const count = 400
  for (let index = 0; index < count; index++) {
    const packetId = publisher.nextPacketId()
    publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
    if (index % 50 === 49) for (let taken = 0; taken < 50; taken++) await publisher.expect('puback')
    if (index === 199) await redis.killMaster()
  }
  await redis.failedOver()
  await publisher.publish({ topic, payload: MARKER, qos: 1 })
  const all = Array.from({ length: count }, (_, index) => index)
  expect([...new Set((await liveReceived).map(Number))]).toEqual(all)
  await using resumed = await connectAt(a, { clientId, clean: false })
  expect([...new Set((await receiveUntil(resumed, MARKER)).map(Number))]).toEqual(all)
  // What is new crosses nodes, too.
  const later = unique('later')
  await live.subscribe([later, 1])
  await publisher.publish({ topic: later, payload: 'heard', qos: 1 })
  expect(await live.receive(1)).toMatchObject([{ topic: later }])
}, 120_000)

it('a failover by sentinels loses only messages that were not replicated, and the nodes close the subscribers that miss messages', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using master = await startRedisProcess([])
  const { port } = new URL(master.url)
  await using replica = await startRedisProcess(['--replicaof', '127.0.0.1', port])
  const [upper, lower] = [new Redis(master.url), new Redis(replica.url)]
  for (const redis of [upper, lower]) redis.on('error', () => undefined)
  await using proxy = await startRedisProxy(master.url)
  const settings = { limits, redisUrl: proxy.url }
  await using a = await startNode(settings)
  await using b = await startNode(settings)
  const topic = unique('t')
  const subscribe = async (clientId: string) => {
    const client = await connectAt(b, { clientId, clean: false })
    await client.subscribe([topic, 1])
    return client
  }
  await using behind = await subscribe('behind')
  await using idle = await subscribe('idle')
  await idle.unsubscribe(topic)
  await idle.subscribe(['other', 1])
  await using publisher = await connectAt(a)
  await publisher.publish({ topic, payload: 'before', qos: 1 })
  await behind.receive(1)
  const wanted = await offsetOf(upper)
  await expect.poll(() => offsetOf(lower)).toBeGreaterThanOrEqual(wanted)
  await lower.replicaof('NO', 'ONE')
  // From here on what is acknowledged is not replicated.
  for (let index = 0; index < 20; index++)
    await publisher.publish({ topic, payload: `lost ${index}`, qos: 1 })
  await behind.receive(20)
  await using late = await subscribe('late')
  proxy.moveTo(replica.url)
  await behind.untilClosed()
  await late.untilClosed()
  expect(b.closeReasons().toSorted()).toEqual(['session-lost', 'session-lost'])
  expect(idle.isClosed).toBe(false)
  // All go on without a restart, with what is left.
  await using resumed = await WireClient.open(b)
  expect(await resumed.connect({ clientId: 'behind', clean: false })).toMatchObject({
    sessionPresent: true,
  })
  await using made = await WireClient.open(b)
  expect(await made.connect({ clientId: 'late', clean: false })).toMatchObject({
    sessionPresent: false,
  })
  await using again = await connectAt(a)
  await again.publish({ topic, payload: 'after', qos: 1 })
  expect(await resumed.receive(1)).toMatchObject([{ payload: Buffer.from('after') }])
  await again.publish({ topic: 'other', payload: 'after', qos: 1 })
  expect(await idle.receive(1)).toMatchObject([{ payload: Buffer.from('after') }])
  for (const redis of [upper, lower]) redis.disconnect()
}, 60_000)

async function offsetOf(redis: Redis): Promise<number> {
  return Number(/^(?:slave|master)_repl_offset:(\d+)/m.exec(await redis.info('replication'))?.[1])
}
