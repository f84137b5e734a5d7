/** The cluster log is bounded in bytes: a node that missed dropped entries reads the stored state instead. */
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { join, PATIENT, stoppable, type Member } from './log-member.ts'

test('a node that is behind the beginning of the trimmed cluster log reads everything again', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a')
  await using b = await join(members, redis, 'b')
  await using admin = stoppable(new Redis(redis.url))
  const loads = b.events.length
  // Two versions at once that b has not seen, and only the second is still there.
  await admin.redis.incr(`${redis.prefix}v1:{cluster}:head`)
  await a.cluster.announce({ added: ['x'] })
  await expect.poll(() => b.events.length).toBeGreaterThan(loads)
  await expect.poll(() => [...b.routes]).toEqual(['a x'])
})

/** Bytes of each entry of the log, the oldest first, and what is counted of them. */
async function logOf(redis: Redis, prefix: string): Promise<{ sizes: number[]; counted: number }> {
  const entries = await redis.xrange(`${prefix}v1:{cluster}:log`, '-', '+')
  const counted = Number(await redis.hget(`${prefix}v1:{cluster}:log-usage`, 'bytes'))
  return { sizes: entries.map(([, [, entry = '']]) => Buffer.byteLength(entry)), counted }
}

test('a large announcement is split into log entries of bounded bytes, and arrives complete', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', PATIENT)
  await using b = await join(members, redis, 'b', PATIENT)
  await using admin = stoppable(new Redis(redis.url))
  // Characters that take six bytes each in an entry.
  const name = (index: number): string => `${String(index).padStart(4, '0')}${'\u0001'.repeat(500)}`
  const added = Array.from({ length: 500 }, (_, index) => name(index))
  const sessions = Array.from({ length: 500 }, (_, index) => name(1_000 + index))
  await a.cluster.announce({ added, sessions })
  expect([...b.routes].toSorted()).toEqual(added.map((filter) => `a ${filter}`))
  expect(b.sessions.toSorted()).toEqual(sessions)
  const { sizes, counted } = await logOf(admin.redis, redis.prefix)
  expect(Math.max(...sizes)).toBeLessThan(300_000)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(counted)
  a.cluster.withdraw(added)
  await a.cluster.announce({ added: ['last'] })
  expect([...b.routes]).toEqual(['a last'])
})

test('the cluster log holds no more bytes than its bound, and a node that was behind misses nothing', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  const logBytesMax = 20_000
  await using a = await join(members, redis, 'a', { logBytesMax })
  await using b = await join(members, redis, 'b', { logBytesMax })
  await using admin = stoppable(new Redis(redis.url))
  const filters = Array.from({ length: 100 }, (_, index) => `${index}/${'x'.repeat(1_000)}`)
  await Promise.all(
    filters.map(async (filter) => {
      await a.cluster.announce({ added: [filter] })
    }),
  )
  for (const filter of filters.slice(0, 50)) await a.cluster.announce({ added: [`${filter}/more`] })
  const { sizes, counted } = await logOf(admin.redis, redis.prefix)
  expect(counted).toBe(sizes.reduce((sum, size) => sum + size, 0))
  expect(counted).toBeGreaterThan(10_000)
  // One entry of any size is there.
  expect(counted).toBeLessThanOrEqual(logBytesMax)
  await expect.poll(() => b.routes.size).toBe(150)
})
