/** The store when Redis answers with a refusal: without its scripts, out of memory. */
import { setImmediate as turn } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'
import { append, enqueue, failure, message, payloadsOf } from './store-steps.ts'

const TIMEOUT_MS = 500

describe('a Redis that has forgotten its scripts', () => {
  test('gets the scripts again: no write fails or is overtaken', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using stores = redisStores(own)
    const store = await stores.open()
    await store.openSession('a', true)
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    const names = Array.from({ length: 1_000 }, (_, index) => `${index}`)
    const done: string[] = []
    const appended: Promise<unknown>[] = []
    for (const [index, name] of names.entries()) {
      appended.push(enqueue(store, 'a', name).then(() => done.push(name)))
      if (index % 10 === 0) await turn()
      if (index % 250 === 100) await operator.script('FLUSH')
    }
    await Promise.all(appended)
    expect(done).toEqual(names)
    expect(await payloadsOf(store, 'a')).toEqual(names)
  })

  test('gets the scripts again: no session operation fails', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using stores = redisStores(own)
    const store = await stores.open()
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    const steps = [
      () => store.openSession('a', true),
      () => store.addSubscriptions('a', [{ filter: 'f', qos: 1 as const }]),
      () => store.removeSubscriptions('a', ['f']),
      () => store.readQueue('a', 1, 1, 1),
      () => store.endSession('a'),
      () => store.openSession('a', false),
    ]
    for (const step of steps) {
      await operator.script('FLUSH')
      await step()
    }
  })
})

describe('a Redis that is out of memory', () => {
  test('delays writes in order, still serves reads and removals, and goes on when there is memory', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using stores = redisStores(own)
    const store = await stores.open({ timeoutMs: 5_000 })
    await store.openSession('a', true)
    for (const name of ['one', 'two']) await enqueue(store, 'a', name)
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    await operator.config('SET', 'maxmemory', '1')
    const done: string[] = []
    const held = ['three', 'four'].map((name) =>
      append(store, {
        message: message('t', name),
        queues: [{ clientId: 'a', qos: 1 }],
      }).then(() => done.push(name)),
    )
    store.settle('a', 1)
    await expect.poll(() => payloadsOf(store, 'a')).toEqual(['two'])
    expect(done).toEqual([])
    await operator.config('SET', 'maxmemory', '0')
    await Promise.all(held)
    expect(done).toEqual(['three', 'four'])
    expect(await payloadsOf(store, 'a')).toEqual(['two', 'three', 'four'])
  })

  test('for longer than the time-out is named as the reason of the error', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using stores = redisStores(own)
    const store = await stores.open({ timeoutMs: TIMEOUT_MS })
    await store.openSession('a', true)
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    await operator.config('SET', 'maxmemory', '1')
    const { tookMs, message: why } = await failure(() => enqueue(store, 'a', 'm'))
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    expect(why).toContain('OOM')
    expect(store.available).toBe(true)
  })

  test('refuses claims of client ids completely, and lets owners leave', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using stores = redisStores(own)
    const store = await stores.open()
    await store.openSession('a', true, message('will'))
    const before = store.owner('a')
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    await operator.config('SET', 'maxmemory', '1')
    for (const clientId of ['a', 'new']) {
      const { message: why } = await failure(() => store.openSession(clientId, true))
      expect(why).toContain('OOM')
    }
    expect(await store.store.replacedOwners([before])).toEqual([])
    const adopting = () => Array.fromAsync(store.store.adoptClients(store.nodeId, 'heir'))
    expect((await failure(adopting)).message).toContain('OOM')
    await store.leaveClient('a')
    await operator.config('SET', 'maxmemory', '0')
    expect(await adopting()).toEqual([])
    expect((await store.openSession('a', true)).present).toBe(true)
    expect((await store.openSession('new', true)).present).toBe(false)
  })
})
