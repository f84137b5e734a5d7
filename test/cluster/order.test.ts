/** The order of the messages of one publisher when they take different paths through the cluster. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { encodePingreq, encodePublish } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

it('a message that needs no queue does not overtake a retained message of its publisher, at QoS 0 either', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  await using a = await startNode({ redisUrl: proxy.url, redisPrefix: redis.prefix })
  await using b = await startNode({ redisUrl: redis.url, redisPrefix: redis.prefix })
  const [topic, first] = [unique('t'), unique('first')]
  await using live = await connectAt(b)
  await live.subscribe([topic, 0])
  await using publisher = await connectAt(a)

  proxy.silenceAfter(first)
  publisher.send(encodePublish({ topic, payload: first, retain: true }))
  publisher.send(encodePublish({ topic, payload: 'second' }))
  publisher.send(encodePingreq())
  await publisher.take('pingresp')
  await proxy.restore()

  const payloads = (await live.receive(2)).map(({ payload }) => payload.toString())
  expect(payloads).toEqual([first, 'second'])
})

it('a message that needs no queue after an UNSUBSCRIBE does not overtake an earlier message that waits for its queue', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  await using a = await startNode({ redisUrl: proxy.url, redisPrefix: redis.prefix })
  await using b = await startNode({ redisUrl: redis.url, redisPrefix: redis.prefix })
  const [topic, probed, first] = [unique('t'), unique('probed'), unique('first')]
  const stored = { clientId: unique('stored') }
  await using leaving = await connectAt(b, { ...stored, clean: false })
  await leaving.subscribe([topic, 1], [probed, 1])
  await using live = await connectAt(b)
  await live.subscribe([topic, 1])
  await using publisher = await connectAt(a)

  proxy.silenceAfter(first)
  publisher.send(encodePublish({ topic, payload: first, qos: 1, packetId: 1 }))
  await using _ = await connectAt(b, stored)
  // A message without a receiver needs no answer of Redis: the other node knows that the session has ended.
  const isKnown = async (): Promise<boolean> => {
    await using prober = await connectAt(a, {}, { timeoutMs: 200 })
    try {
      await prober.publish({ topic: probed, payload: '', qos: 1 })
      return true
    } catch {
      return false
    }
  }
  await expect.poll(isKnown).toBe(true)
  publisher.send(encodePublish({ topic, payload: 'second', qos: 1, packetId: 2 }))
  publisher.send(encodePingreq())
  await publisher.take('pingresp')
  await proxy.restore()

  const payloads = (await live.receive(2)).map(({ payload }) => payload.toString())
  expect(payloads).toEqual([first, 'second'])
})
