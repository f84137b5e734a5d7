/** The entries that a killed node leaves in the sets of a user do not lock that user out. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'

const LONG_AGO = 1

test('a full set of a user drops client ids without a session, except recent ones', async () => {
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
  await client.zadd(key, Date.now(), 'under way', LONG_AGO, 'gone', LONG_AGO, 'a')
  expect(await make('b')).toBe('new')
  expect((await client.zrange(key, 0, -1)).toSorted()).toEqual(['a', 'b', 'under way'])
  expect(await make('c')).toBe('sessions-full')
  client.disconnect()
})

test('a full set of a user drops shared groups that no longer exist', async () => {
  await using redis = await startRedis()
  await using stores = redisStores(redis)
  const store = await stores.openRaw({ shares: { sharedGroupsPerUserMax: 2 } })
  const client = new Redis(redis.url)
  const key = keysWith(stores.settings.prefix).userGroups('uann')
  await client.zadd(key, LONG_AGO, '$share/gone/t', LONG_AGO, '$share/there/t')
  await new Promise<void>((resolve, reject) => {
    store.shared.join('$share/there/t', 'nnode', (error) => (error ? reject(error) : resolve()))
  })
  expect(await store.shared.enter('$share/new/t', 'uann')).toBe(true)
  expect(await store.shared.enter('$share/other/t', 'uann')).toBe(false)
  expect((await client.zrange(key, 0, -1)).toSorted()).toEqual(['$share/new/t', '$share/there/t'])
  client.disconnect()
})
