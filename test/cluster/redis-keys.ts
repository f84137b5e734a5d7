import { Redis } from 'ioredis'
import type { TestRedis } from '../kit/redis/redis.ts'

/** Every key of this test. */
export async function keysOf({
  url,
  prefix,
}: Pick<TestRedis, 'url' | 'prefix'>): Promise<string[]> {
  const redis = new Redis(url)
  try {
    return (await redis.keys(`${prefix}*`)).map((key) => key.slice(prefix.length)).sort()
  } finally {
    redis.disconnect()
  }
}
