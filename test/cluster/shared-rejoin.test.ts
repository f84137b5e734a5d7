/** A node that comes back after it was declared dead keeps the messages that its groups got since. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { connectAt } from './cluster.ts'

const LIMITS = { nodeLeaseMs: 1_500, viewLeaseMs: 500 }

it('a node that is behind in the cluster log does not end a shared group whose node has come back', async () => {
  await using redis = await startRedis()
  await using ofLate = await startRedisProxy(redis.url)
  await using ofBack = await startRedisProxy(redis.url)
  const settings = { redisPrefix: redis.prefix, limits: LIMITS }
  await using late = await startNode({ ...settings, redisUrl: ofLate.url })
  await using back = await startNode({ ...settings, redisUrl: ofBack.url })
  await using judge = await startNode({ ...settings, redisUrl: redis.url })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const keys = keysWith(redis.prefix)
  const [topic, later] = [unique('t'), unique('later')]
  const group = `$share/g/${topic}`
  await using member = await connectAt(back)
  await member.subscribe([group, 1])

  const reading = ofLate.silenceAfter(`0-${await admin.get(keys.clusterHead)}`)
  await reading.silenced
  await ofBack.refuse()
  await expect.poll(() => admin.hexists(keys.clusterNodes, back.id)).toBe(0)
  await ofBack.restore()
  await expect.poll(() => admin.hexists(keys.clusterNodes, back.id)).toBe(1)
  // In order behind the return of the group.
  await using other = await connectAt(back)
  await other.subscribe([`$share/h/${topic}`, 1])
  await using publisher = await connectAt(judge)
  await publisher.publish({ topic, payload: 'kept', qos: 1 })
  await member.take('publish')

  reading.release()
  // What the late node has to say of the dead one is said before this.
  await using follower = await connectAt(late)
  await follower.publish({ topic: later, payload: 'x', qos: 1, retain: true })
  await using next = await connectAt(judge)
  await next.subscribe([group, 1])
  await member.drop()
  expect(await next.receive(1)).toMatchObject([{ topic, payload: Buffer.from('kept') }])
})
