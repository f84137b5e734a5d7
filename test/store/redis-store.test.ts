import { bucketOf, keysWith, type Keys } from '@breakwater/redis'
import { append, message } from './store-steps.ts'
import { storeCompliance } from '@breakwater/store/compliance'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../kit/redis.ts'
import { openUnderTest, redisStores } from './redis-stores.ts'

let redis: TestRedis
let client: Redis
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})
afterAll(async () => {
  client.disconnect()
  await redis[Symbol.asyncDispose]()
})

describe('the Redis store', () => {
  storeCompliance({ describe, test }, (bounds) => openUnderTest(redis, bounds))
})

describe('keys of an ended session', () => {
  const clientId = 'ended:{id}'

  test('are gone, all of them', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    await store.openSession(clientId, true)
    await store.addSubscriptions(clientId, [{ filter: 't', qos: 2 }])
    for (let position = 1; position <= 3; position += 1)
      await append(store, { message: message('t'), queues: [{ clientId, qos: 2 }] })
    await new Promise<void>((resolve) => store.release(clientId, 1, 1, () => resolve()))
    await new Promise<void>((resolve) =>
      store.storeInbound(clientId, 9, message('t'), () => resolve()),
    )
    const keys = keysWith(stores.settings.prefix)
    const bucket = bucketOf(clientId)
    expect(await keysIn(keys.prefix)).toEqual(
      [
        keys.session(clientId),
        keys.queue(clientId),
        keys.release(clientId),
        keys.inbound(clientId),
        keys.filters(bucket),
        keys.sessions(bucket),
        keys.epoch,
      ].toSorted(),
    )
    await store.endSession(clientId)
    expect(await keysIn(keys.prefix)).toEqual([keys.epoch])
  })

  test.each(['endSession', 'a clean open', 'expiry'] as const)(
    'late writers leave no key: after %s',
    async (how) => {
      await using stores = redisStores(redis)
      const [store, late] = await Promise.all([stores.open(), stores.open()])
      await store.openSession(clientId, true)
      if (how === 'endSession') await store.endSession(clientId)
      else if (how === 'expiry') await store.expireSessions(Date.now() + 1)
      else await store.openSession(clientId, false)
      await late.addSubscriptions(clientId, [{ filter: 't', qos: 1 }])
      await late.removeSubscriptions(clientId, ['u'])
      await late.touchSessions([clientId])
      await late.leaveSession(clientId)
      late.recordSent(clientId, 1)
      late.settle(clientId, 1)
      late.release(clientId, 1, 1, () => undefined)
      late.complete(clientId, 1)
      late.storeInbound(clientId, 1, message('t'), () => undefined)
      late.deleteInbound(clientId, 2, () => undefined)
      await append(late, { message: message('t'), queues: [{ clientId, qos: 1 }] })
      await late.readQueue(clientId, 1, 10, 1_000)
      const keys = keysWith(stores.settings.prefix)
      expect(await keysIn(keys.prefix)).toEqual([keys.epoch])
    },
  )

  test('do not come back when an end and late writers run at the same time', async () => {
    await using stores = redisStores(redis)
    const [store, late] = await Promise.all([stores.open(), stores.open()])
    const keys = keysWith(stores.settings.prefix)
    for (let round = 0; round < 50; round += 1) {
      await store.openSession(clientId, true)
      await Promise.all([
        late.addSubscriptions(clientId, [{ filter: 't', qos: 1 }]),
        append(late, { message: message('t'), queues: [{ clientId, qos: 1 }] }),
        store.endSession(clientId),
        new Promise<void>((resolve) =>
          late.storeInbound(clientId, 1, message('t'), () => resolve()),
        ),
        late.touchSessions([clientId]),
      ])
      expect(await keysIn(keys.prefix)).toEqual([keys.epoch])
    }
  })

  test('are left to a later owner: a clean open that comes late ends nothing', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    await store.openSession(clientId, true)
    // What a clean open elsewhere waits with: an epoch that is lower than that of the owner by now.
    const keys = keysWith(stores.settings.prefix)
    await raiseEpoch(keys)
    expect((await store.openSession(clientId, false)).present).toBe(false)
    expect((await store.openSession(clientId, true)).present).toBe(true)
  })
})

describe('a Redis that comes back empty', () => {
  test('gives epochs that are higher than those before', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    const { epoch: before } = await store.openSession('a', true)
    await client.unlink(...(await keysIn(stores.settings.prefix)))
    const { epoch, present } = await store.openSession('a', true)
    expect(epoch).toBeGreaterThan(before)
    expect(present).toBe(false)
  })
})

/** As an owner with a far higher epoch leaves the session. */
async function raiseEpoch(keys: Keys): Promise<void> {
  await client.hset(keys.session('ended:{id}'), 'epoch', Number.MAX_SAFE_INTEGER)
}

async function keysIn(prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 }))
    found.push(...(keys as string[]))
  // The mark of a writer outlives what it has written.
  return [...new Set(found)].filter((key) => !key.includes(':writer:')).toSorted()
}
