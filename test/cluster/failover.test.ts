/** The sentinels put a replica in the place of the master: what was acknowledged and replicated is there. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { startSentinelRedis } from '../kit/redis-sentinel.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil } from './cluster.ts'

const MARKER = 'the end'
/** Time enough for a failover. */
const limits = { storeTimeoutMs: 15_000 }

it('a failover under load holds publishers up, and loses nothing that the replica has', async (context) => {
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
  await using live = await connectAt(b, { clientId: unique('l'), clean: false })
  await live.subscribe([topic, 1])
  const liveReceived = receiveUntil(live, MARKER)
  await using publisher = await connectAt(a)

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
}, 60_000)
