/** The metrics page of a node shows that it cannot read its inbox, and that it has caught up. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { connectAt } from './cluster.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'

const MESSAGES = 100
const PAYLOAD_BYTES = 1_000
/** Longer than a node waits between two questions: one is under way when Redis answers again. */
const HELD_MS = 1_500

it('the inbox lag of a node rises while the node cannot read its inbox, and falls when it reads again', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  await using sender = await startNode({ redisUrl: redis.url, redisPrefix: redis.prefix })
  await using receiver = await startNode({ redisUrl: proxy.url, redisPrefix: redis.prefix })
  await using subscriber = await connectAt(receiver)
  await using publisher = await connectAt(sender)
  const topic = unique('t')
  await subscriber.subscribe([topic, 1])
  const lag = async (): Promise<readonly [bytes: number, seconds: number]> => {
    const page = await MetricsPage.of(receiver)
    return [
      page.value('breakwater_bus_inbox_lag_bytes'),
      page.value('breakwater_bus_inbox_lag_seconds'),
    ]
  }
  await expect.poll(lag).toEqual([0, 0])

  proxy.stall()
  for (let index = 0; index < MESSAGES; index += 1)
    await publisher.publish({ topic, payload: ''.padEnd(PAYLOAD_BYTES), qos: 1 })
  const since = performance.now()
  await expect.poll(() => performance.now() - since).toBeGreaterThan(HELD_MS)
  await proxy.restore()
  let most: readonly [number, number] = [0, 0]
  await expect
    .poll(async () => (most = await lag())[0], { interval: 20 })
    .toBeGreaterThan(MESSAGES * PAYLOAD_BYTES)
  expect(most[1]).toBeGreaterThan(HELD_MS / 1_000)
  await expect.poll(lag).toEqual([0, 0])
  expect(await subscriber.receive(MESSAGES)).toHaveLength(MESSAGES)
})
