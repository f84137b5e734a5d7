/** A claim of a client id that Redis executes after the CONNECT was refused leaves no owner without a client. */
import { bucketOf, keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { connectAt } from './cluster.ts'

/** A client is refused after eight tenths of it: its claim waits for longer. */
const LIMITS = { connectTimeoutMs: 3_000 }
const UNAVAILABLE = 3

it('a claim made by a cut-off node, and executed after the client connected to another node, does not disconnect that client', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  const settings = { redisPrefix: redis.prefix }
  await using there = await startNode({ ...settings, redisUrl: redis.url })
  await using cutOff = await startNode({ ...settings, redisUrl: proxy.url, limits: LIMITS })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const clientId = unique('c')
  const will = { topic: unique('will'), payload: 'last words', qos: 1 }
  await using watcher = await connectAt(there)
  await watcher.subscribe([will.topic, 1])

  await proxy.refuse()
  const wanted = { clientId, will: { topic: will.topic, payload: 'never accepted' } }
  // When the first one is refused the node has noticed: the second claim is not under way when it does.
  for (const fields of [{ clientId: unique('c') }, wanted]) {
    await using vain = await WireClient.open(cutOff)
    expect(await vain.connect(fields)).toMatchObject({ returnCode: UNAVAILABLE })
  }
  await using client = await connectAt(there, { clientId, will })
  await proxy.restore()
  // This one is executed on the same connection, after all pending commands.
  await using _ = await connectAt(cutOff)

  await client.expectSilence()
  const record = await admin.hget(keysWith(redis.prefix).owners(bucketOf(clientId)), clientId)
  expect(record?.split(' ')[1]).toBe(there.id)
  await client.drop()
  expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from(will.payload) }])
  await watcher.expectSilence()
})

it('a claim whose answer is lost closes the former owner with its will, and leaves no owner in Redis', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  const settings = { redisPrefix: redis.prefix }
  const limits = { storeTimeoutMs: 1_500 }
  await using there = await startNode({ ...settings, redisUrl: redis.url })
  await using deaf = await startNode({ ...settings, redisUrl: proxy.url, limits })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const keys = keysWith(redis.prefix)
  const clientId = unique('c')
  const bucket = bucketOf(clientId)
  const will = { topic: unique('will'), payload: 'last words', qos: 1 }
  await using watcher = await connectAt(there)
  await watcher.subscribe([will.topic, 1])
  await using client = await connectAt(there, { clientId, will })

  const { silenced } = proxy.silenceAfter(clientId)
  await using vain = await WireClient.open(deaf)
  const refused = vain.connect({ clientId, will: { topic: will.topic, payload: 'never accepted' } })
  await silenced
  expect(await refused).toMatchObject({ returnCode: UNAVAILABLE })

  await client.untilClosed()
  expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from(will.payload) }])
  await expect.poll(() => admin.exists(keys.owners(bucket), keys.wills(bucket))).toBe(0)
  await watcher.expectSilence()
})
