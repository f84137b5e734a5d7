import { encodeMessage } from '@breakwater/bus'
import { bucketOf, keysWith } from '@breakwater/redis'
import { storeCompliance } from '@breakwater/store/compliance'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { openUnderTest, redisStores } from './redis-stores.ts'
import { append, message } from './store-steps.ts'

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

  test('are all deleted', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    await store.openSession(clientId, true, message('will'))
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
        keys.filters(clientId),
        keys.sessions(bucket),
        keys.owners(bucket),
        keys.wills(bucket),
      ].toSorted(),
    )
    await store.endSession(clientId)
    expect(await keysIn(keys.prefix)).toEqual([])
  })

  test.each(['endSession', 'a clean open', 'expiry'] as const)(
    'are not created again by late writers after %s',
    async (how) => {
      await using stores = redisStores(redis)
      const [store, late] = await Promise.all([stores.open(), stores.open()])
      await store.openSession(clientId, true)
      if (how === 'endSession') await store.endSession(clientId)
      else if (how === 'a clean open') await store.openSession(clientId, false)
      await store.leaveClient(clientId)
      if (how === 'expiry') await store.expireSessions(Date.now() + 1)
      await late.addSubscriptions(clientId, [{ filter: 't', qos: 1 }])
      await late.removeSubscriptions(clientId, ['u'])
      await late.touchSessions([clientId])
      await late.leaveClient(clientId)
      late.recordSent(clientId, 1)
      late.settle(clientId, 1)
      late.release(clientId, 1, 1, () => undefined)
      late.complete(clientId, 1)
      late.storeInbound(clientId, 1, message('t'), () => undefined)
      late.deleteInbound(clientId, 2, () => undefined)
      await append(late, { message: message('t'), queues: [{ clientId, qos: 1 }] })
      await late.readQueue(clientId, 1, 10, 1_000)
      const keys = keysWith(stores.settings.prefix)
      expect(await keysIn(keys.prefix)).toEqual([])
    },
  )

  test('are not created again when late writers run during the end of the session', async () => {
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
      expect(await keysIn(keys.prefix)).toEqual([])
    }
  })
})

describe('keys of connected clients', () => {
  test('are deleted with the clients: left, replaced, adopted with and without a will', async () => {
    await using stores = redisStores(redis)
    const [store, other] = await Promise.all([stores.open(), stores.open()])
    const will = message('will')
    for (const persistent of [false, true]) {
      const clientIds = ['left', 'replaced', 'dead', 'dead without']
      for (const clientId of clientIds)
        await store.openSession(clientId, persistent, clientId.endsWith('out') ? undefined : will)
      const before = store.owner('replaced')
      await other.openSession('replaced', persistent, will)
      await store.store.leaveClient(before)
      for (const clientId of ['left', 'replaced']) await other.leaveClient(clientId)
      for await (const chunk of other.store.adoptClients(store.nodeId, other.nodeId))
        for (const { owner } of chunk) await other.store.leaveClient(owner)
      for (const clientId of clientIds) await other.store.endSession(clientId)
      expect(await keysIn(stores.settings.prefix)).toEqual([])
    }
  })
})

describe('a clock of Redis that was set back', () => {
  test('yields epochs higher than earlier epochs of the client, connected or not', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    await store.openSession('a', true)
    const keys = keysWith(stores.settings.prefix)
    const ahead = Number.MAX_SAFE_INTEGER - 10
    await client.hset(keys.owners(bucketOf('a')), 'a', `${ahead} node 1 user`)
    expect((await store.openSession('a', true)).epoch).toBe(ahead + 1)
    await store.leaveClient('a')
    expect((await store.openSession('a', true)).epoch).toBe(ahead + 2)
    await client.hset(keys.owners(bucketOf('a')), 'a', `${ahead + 2} dead 1 user`)
    await client.hset(keys.wills(bucketOf('a')), 'a', encodeMessage(message('will')))
    const found = await Array.fromAsync(store.store.adoptClients('dead', 'heir'))
    expect(found.flat().map(({ owner }) => owner.epoch)).toEqual([ahead + 3])
  })
})

describe('a Redis that comes back empty', () => {
  test('yields epochs higher than all earlier ones', async () => {
    await using stores = redisStores(redis)
    const store = await stores.open()
    const { epoch: before } = await store.openSession('a', true)
    await client.unlink(...(await keysIn(stores.settings.prefix)))
    const { epoch, present } = await store.openSession('a', true)
    expect(epoch).toBeGreaterThan(before)
    expect(present).toBe(false)
  })
})

async function keysIn(prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 }))
    found.push(...(keys as string[]))
  // The mark of a writer outlives what it has written.
  return [...new Set(found)].filter((key) => !key.includes(':writer:')).toSorted()
}
