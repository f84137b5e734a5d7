/** A client that has disconnected leaves nothing in Redis, whichever commands are lost meanwhile. */
import { bucketOf, keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { connectAt } from './cluster.ts'

it('a client that disconnects while Redis is unreachable leaves no key behind, even after the time-out and a restart of Redis', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  const limits = { storeTimeoutMs: 1_000 }
  await using node = await startNode({ redisUrl: proxy.url, redisPrefix: redis.prefix, limits })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const keys = keysWith(redis.prefix)
  const clientId = unique('c')
  const bucket = bucketOf(clientId)
  const will = { topic: unique('will'), payload: 'will' }
  await using client = await connectAt(node, { clientId, will })
  expect(await admin.exists(keys.owners(bucket), keys.wills(bucket))).toBe(2)

  await proxy.refuse()
  await client.disconnect()
  await node.logged(({ what }) => what === `end of ${clientId}`)
  // As a server that was started again: what comes too late finds no script.
  await admin.script('FLUSH')
  await proxy.restore()
  await expect.poll(() => admin.exists(keys.owners(bucket), keys.wills(bucket))).toBe(0)
})
