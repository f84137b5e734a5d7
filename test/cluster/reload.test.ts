/** A node serves clients while it reads all filters and retained topics of other nodes again. */
import { bucketOf, keysWith, RETAINED_BUCKETS } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

it('a message that is stored while its node reads all filters again is acknowledged once it has been sent to all nodes', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  await using a = await startNode({ redisUrl: proxy.url, redisPrefix: redis.prefix })
  await using b = await startNode({ redisUrl: redis.url, redisPrefix: redis.prefix })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const keys = keysWith(redis.prefix)
  const [topic, payload, marker] = [unique('t'), unique('p'), unique('marker')]
  await using live = await connectAt(b)
  await live.subscribe([topic, 1])
  await using stored = await connectAt(b, { clean: false })
  await stored.subscribe([topic, 1])
  await using publisher = await connectAt(a)

  const appending = proxy.silenceAfter(payload)
  publisher.send(encodePublish({ topic, payload, qos: 1, packetId: 1 }))
  await appending.silenced
  const reloading = proxy.silenceAfter(keys.clusterRoutes(b.id))
  // A version is missing from the log: a node that reads on has to read everything.
  await admin.incr(keys.clusterHead)
  const subscribed = live.subscribe([unique('next'), 1])
  await reloading.silenced
  // Written behind the one that waits for its answer: that has been dealt with.
  publisher.send(encodePublish({ topic: marker, payload: 'x', retain: true }))
  appending.release()
  const bucket = keys.retained(bucketOf(marker, RETAINED_BUCKETS))
  await expect.poll(() => admin.hexists(bucket, marker)).toBe(1)
  reloading.release()

  await subscribed
  expect(await live.receive(1)).toMatchObject([{ topic, payload: Buffer.from(payload) }])
  expect(await publisher.take('puback')).toMatchObject({ packetId: 1 })
})
