/** What a killed node leaves in the set of a user's sessions does not lock the user out. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'

test('client ids without a session leave the set of a user when it is full, at every node', async () => {
  await using redis = await startRedis()
  await using stores = redisStores(redis)
  const store = await stores.openRaw({ shares: { sessionsPerUserMax: 3 } })
  const client = new Redis(redis.url)
  const key = keysWith(stores.settings.prefix).userSessions('uann')
  const make = async (clientId: string): Promise<string> => {
    const claim = { clientId, nodeId: 'node', user: 'ann', persistent: true, account: 'uann' }
    const claimed = await store.claimClient(claim)
    return typeof claimed === 'string' ? claimed : 'new'
  }
  expect(await make('a')).toBe('new')
  await client.sadd(key, 'never made', 'gone')
  expect(await make('b')).toBe('new')
  expect((await client.smembers(key)).toSorted()).toEqual(['a', 'b'])
  expect(await make('c')).toBe('new')
  expect(await make('d')).toBe('sessions-full')
  client.disconnect()
})
