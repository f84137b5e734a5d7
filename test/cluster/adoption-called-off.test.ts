/** A node that was declared dead comes back while another node adopts its clients: it keeps those not yet adopted. */
import { bucketOf, BUCKETS, keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { connectAt } from './cluster.ts'

const LIMITS = { nodeLeaseMs: 1_000, viewLeaseMs: 400, storeTimeoutMs: 60_000 }
const BEATS = 3

/** A client id that an adoption comes to at its beginning, or at its end. */
function clientIdIn(half: 0 | 1): string {
  for (;;) {
    const clientId = unique('c')
    if (Math.floor((2 * bucketOf(clientId)) / BUCKETS) === half) return clientId
  }
}

it('an adoption stops when the node comes back, and leaves the node the clients that are still connected to it', async () => {
  await using redis = await startRedis()
  await using heirProxy = await startRedisProxy(redis.url)
  await using backProxy = await startRedisProxy(redis.url)
  const settings = { redisPrefix: redis.prefix, limits: LIMITS }
  await using heir = await startNode({ ...settings, redisUrl: heirProxy.url })
  await using back = await startNode({ ...settings, redisUrl: backProxy.url })
  await using stack = new AsyncDisposableStack()
  const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const keys = keysWith(redis.prefix)
  const root = unique('will')
  const [first, second] = [clientIdIn(0), clientIdIn(1)]
  const willOf = (clientId: string) => ({ topic: `${root}/${clientId}`, payload: clientId, qos: 1 })
  await using reader = await connectAt(heir, { clean: false })
  await reader.subscribe([`${root}/+`, 1])
  await using _ = await connectAt(back, { clientId: first, will: willOf(first) })
  await using kept = await connectAt(back, { clientId: second, will: willOf(second) })

  // The first will is not stored yet: the adoption waits for it.
  const storing = heirProxy.silenceAfter(`${root}/${first}`)
  await backProxy.refuse()
  await storing.silenced
  await backProxy.restore()
  await expect.poll(() => admin.hexists(keys.clusterNodes, back.id)).toBe(1)
  for (let beat = 0; beat < BEATS; beat += 1) {
    const before = await admin.zscore(keys.clusterLeases, heir.id)
    await expect.poll(() => admin.zscore(keys.clusterLeases, heir.id)).not.toBe(before)
  }
  storing.release()
  await heir.logged(
    ({ msg, nodeId }) =>
      msg === 'took over the clients of a node that is gone' && nodeId === back.id,
  )

  expect(await reader.receive(1)).toMatchObject([{ topic: `${root}/${first}` }])
  await kept.expectSilence()
  const record = await admin.hget(keys.owners(bucketOf(second)), second)
  expect(record?.split(' ')[1]).toBe(back.id)
  await kept.drop()
  expect(await reader.receive(1)).toMatchObject([{ topic: `${root}/${second}` }])
})
