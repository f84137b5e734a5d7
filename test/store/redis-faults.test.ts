/** The store when its connection to Redis is cut, hangs or is closed. */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import type { OwnedStore } from '@breakwater/store/compliance'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { redisStores, type RedisStores } from './redis-stores.ts'
import { enqueue, failure, message, payloadsOf } from './store-steps.ts'

const TIMEOUT_MS = 500
/** Longer than a test may take: whatever waits for it fails. */
const NEVER_MS = 600_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis[Symbol.asyncDispose]())

interface Behind {
  readonly proxy: RedisProxy
  readonly stores: RedisStores
  readonly store: OwnedStore
}

/** A store that reaches Redis through a proxy, with a session `a`. */
async function behindProxy(
  options: Parameters<RedisStores['open']>[0] = {},
): Promise<Behind & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const proxy = stack.use(await startRedisProxy(redis.url))
  const stores = stack.use(redisStores({ url: proxy.url, prefix: redis.prefix }))
  const store = await stores.open({ timeoutMs: TIMEOUT_MS, ...options })
  await store.openSession('a', true)
  const resources = stack.move()
  return { proxy, stores, store, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** Redis is back, and so is every connection a moment later. */
async function eventually(work: () => Promise<unknown>): Promise<void> {
  await vi.waitFor(work, { timeout: 30_000 })
}

describe('cutting the connection of the store to Redis', () => {
  test('loses no write, and keeps the order of writes', async () => {
    await using behind = await behindProxy({ timeoutMs: 10_000 })
    const { store, proxy } = behind
    const names = Array.from({ length: 3_000 }, (_, index) => `${index}`)
    const appended: Promise<unknown>[] = []
    for (const [index, name] of names.entries()) {
      appended.push(enqueue(store, 'a', name))
      if (index % 10 === 0) await turn()
      if (index % 500 === 250) proxy.cut()
    }
    await Promise.all(appended)
    expect(await payloadsOf(store, 'a')).toEqual(names)
  })

  test('loses no session operation', async () => {
    await using behind = await behindProxy({ timeoutMs: 10_000 })
    const { store, proxy } = behind
    for (let round = 0; round < 5; round += 1) {
      const work = [
        store.openSession('a', true),
        store.addSubscriptions('a', [{ filter: `f${round}`, qos: 1 as const }]),
        store.counts(),
        store.touchSessions(['a']),
      ]
      proxy.cut()
      await Promise.all(work)
    }
    expect(await store.subscriptions('a')).toHaveLength(5)
  })

  test('is reported, and the store is unavailable until it is connected again', async () => {
    await using behind = await behindProxy()
    const { store, proxy, stores } = behind
    expect(store.available).toBe(true)
    await proxy.refuse()
    await expect.poll(() => store.available).toBe(false)
    await expect.poll(() => stores.faults.length).toBeGreaterThan(0)
    await proxy.restore()
    await expect.poll(() => store.available).toBe(true)
    expect(stores.faults.map(({ message: text }) => text).join()).toContain('ECONNREFUSED')
  })
})

describe('a Redis that hangs', () => {
  test('makes writes fail once each after the time-out, not earlier, and the store works again afterwards', async () => {
    await using behind = await behindProxy()
    const { store, proxy } = behind
    await enqueue(store, 'a', 'before')
    proxy.stall()
    const calls: string[] = []
    const start = performance.now()
    for (const name of ['one', 'two'])
      store.append({ message: message('t', name), queues: [{ clientId: 'a', qos: 1 }] }, (error) =>
        calls.push(`${name} ${error?.message.split(':', 1)[0]}`),
      )
    await expect.poll(() => calls.length, { interval: 10 }).toBe(2)
    const tookMs = performance.now() - start
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    await proxy.restore()
    await expect.poll(() => store.available).toBe(true)
    await enqueue(store, 'a', 'after')
    expect(calls).toEqual(
      ['one', 'two'].map((name) => `${name} not taken by Redis within ${TIMEOUT_MS} ms`),
    )
    const payloads = await payloadsOf(store, 'a')
    expect([payloads[0], payloads.at(-1)]).toEqual(['before', 'after'])
  })

  test('for less than the time-out loses no write', async () => {
    await using behind = await behindProxy({ timeoutMs: 10_000 })
    const { store, proxy } = behind
    proxy.stall()
    const names = Array.from({ length: 50 }, (_, index) => `${index}`)
    const appended = Promise.all(names.map((name) => enqueue(store, 'a', name)))
    await delay(200)
    await proxy.restore()
    await appended
    expect(await payloadsOf(store, 'a')).toEqual(names)
  })

  test.each([
    ['openSession', (store: OwnedStore) => store.openSession('a', true)],
    ['openSession, clean', (store: OwnedStore) => store.openSession('b', false)],
    [
      'addSubscriptions',
      (store: OwnedStore) => store.addSubscriptions('a', [{ filter: 'f', qos: 1 }]),
    ],
    ['subscriptions', (store: OwnedStore) => store.subscriptions('a')],
    ['readQueue', (store: OwnedStore) => store.readQueue('a', 1, 10, 1_000)],
    ['readInbound', (store: OwnedStore) => store.readInbound('a', 1)],
    ['retainedTopics', (store: OwnedStore) => Array.fromAsync(store.retainedTopics())],
    ['retainedExist', (store: OwnedStore) => store.retainedExist(['t'])],
    ['readRetained', (store: OwnedStore) => store.readRetained(['t'], 1)],
    ['expireSessions', (store: OwnedStore) => store.expireSessions(0)],
  ] as const)(
    'makes %s fail after the time-out, and the store works again afterwards',
    async (_, work) => {
      await using behind = await behindProxy()
      const { store, proxy } = behind
      proxy.stall()
      const { tookMs } = await failure(() => work(store))
      expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 1)
      await proxy.restore()
      await eventually(() => work(store))
    },
  )

  test('makes writes fail at once when too many writes are pending', async () => {
    await using behind = await behindProxy({ pendingWritesMax: 10 })
    const { store, proxy } = behind
    proxy.stall()
    const ended: string[] = []
    const names = Array.from({ length: 10 }, (_, index) => `${index}`)
    const waiting = names.map(async (name) => {
      const { tookMs } = await failure(() => enqueue(store, 'a', name))
      ended.push(name)
      return tookMs
    })
    const refused = await failure(() => enqueue(store, 'a', 'refused'))
    expect(refused.message).toBe('full: 10 items wait for Redis')
    expect(ended).toEqual([])
    for (const tookMs of await Promise.all(waiting))
      expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    await proxy.restore()
    await eventually(() => enqueue(store, 'a', 'x'))
  })

  test('makes writes fail at once when pending writes hold too many bytes', async () => {
    await using behind = await behindProxy({ pendingBytesMax: 100_000 })
    const { store, proxy } = behind
    proxy.stall()
    const waiting = failure(() => enqueue(store, 'a', 'x'.repeat(60_000)))
    const refused = await failure(() => enqueue(store, 'a', 'x'.repeat(60_000)))
    expect(refused.message).toMatch(/^full: \d+ bytes wait for Redis$/)
    await waiting
  })

  test('does not delay closing the store, and every callback is called', async () => {
    const behind = await behindProxy({ timeoutMs: NEVER_MS })
    const { store, proxy } = behind
    proxy.stall()
    const waiting = failure(() => enqueue(store, 'a', 'm'))
    await store[Symbol.asyncDispose]()
    expect((await waiting).message).toContain('closed')
    await behind[Symbol.asyncDispose]()
  })
})

describe('a Redis that sleeps (DEBUG SLEEP)', () => {
  test('makes writes fail after the time-out, not earlier, and the store works again afterwards', async () => {
    await using own = await startRedis({ args: ['--enable-debug-command', 'yes'] })
    await using stores = redisStores(own)
    const store = await stores.open({ timeoutMs: TIMEOUT_MS })
    await store.openSession('a', true)
    const sandman = new Redis(own.url)
    onTestFinished(() => sandman.disconnect())
    await sandman.ping()
    const asleep = sandman.call('debug', 'sleep', '1.5')
    await delay(50)
    const { tookMs, message: why } = await failure(() => enqueue(store, 'a', 'lost'))
    expect(why).toContain(`not taken by Redis within ${TIMEOUT_MS} ms`)
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    await asleep
    await expect.poll(() => store.available).toBe(true)
    await enqueue(store, 'a', 'after')
    expect((await payloadsOf(store, 'a')).at(-1)).toBe('after')
  })
})

describe('a Redis that is down', () => {
  test('makes writes fail after the time-out, and the store uses it again without a restart when it is back', async () => {
    await using behind = await behindProxy()
    const { store, proxy } = behind
    await proxy.refuse()
    const { tookMs, message: why } = await failure(() => enqueue(store, 'a', 'lost'))
    expect(why).toContain('not taken by Redis')
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    await proxy.restore()
    await eventually(() => enqueue(store, 'a', 'after'))
    await expect.poll(() => payloadsOf(store, 'a')).toEqual(['after'])
  })

  test('does not delay closing the store', async () => {
    const behind = await behindProxy({ timeoutMs: NEVER_MS })
    const { store, proxy } = behind
    await proxy.refuse()
    const waiting = failure(() => enqueue(store, 'a', 'm'))
    await store[Symbol.asyncDispose]()
    expect((await waiting).message).toContain('closed')
    await behind[Symbol.asyncDispose]()
  })
})
