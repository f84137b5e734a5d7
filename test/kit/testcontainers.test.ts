import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedisContainer } from './redis/redis-container.ts'
import { containerRefusal } from './redis/redis-mode.ts'
import type { RedisServer } from './redis/redis-process.ts'

const refusal = await containerRefusal()

test('testcontainers starts a Redis that answers and evicts nothing, and removes it afterwards', async (context) => {
  if (refusal !== undefined) context.skip(refusal)
  const url = await useAndStop(await startRedisContainer([]))
  await expect(ping(url)).rejects.toThrow()
})

test('a Redis in a container takes the server arguments of a test', async (context) => {
  if (refusal !== undefined) context.skip(refusal)
  await using redis = await startRedisContainer(['--databases', '3'])
  const client = await connect(redis.url)
  expect(await client.config('GET', 'databases')).toEqual(['databases', '3'])
  client.disconnect()
})

async function useAndStop(server: RedisServer): Promise<string> {
  await using redis = server
  const client = await connect(redis.url)
  expect(await client.set('key', 'value')).toBe('OK')
  expect(await client.get('key')).toBe('value')
  expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
  client.disconnect()
  return redis.url
}

async function ping(url: string): Promise<string> {
  const client = await connect(url)
  return client.ping().finally(() => client.disconnect())
}

async function connect(url: string): Promise<Redis> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
