/** The counters of retained messages are deleted with the messages. */
import { Message } from '@breakwater/bus'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'

test('clearing the last retained message leaves no key behind', async () => {
  await using redis = await startRedis()
  await using stores = redisStores(redis)
  const store = await stores.openRaw()
  const client = new Redis(redis.url)
  const retain = (topic: string, payload: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const message = new Message(topic, Buffer.from(payload), 1, true)
      store.append({ message, queues: [], account: 'uann' }, (error) =>
        error === undefined ? resolve() : reject(error),
      )
    })
  const topics = Array.from({ length: 40 }, (_, index) => `t/${index}`)
  const left = (): Promise<string[]> => client.keys(`${stores.settings.prefix}*retained*`)
  for (const topic of topics) await retain(topic, 'x')
  expect(await left()).not.toEqual([])
  for (const topic of topics) await retain(topic, '')
  expect(await left()).toEqual([])
  client.disconnect()
})
