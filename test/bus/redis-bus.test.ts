import { setImmediate as turn } from 'node:timers/promises'
import type { Notice } from '@breakwater/bus'
import { busCompliance } from '@breakwater/bus/compliance'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { heardBy, message, published } from './publishing.ts'
import { redisBuses } from './redis-buses.ts'

const TIMEOUT_MS = 500
/** Longer than a test may take: whatever waits for it fails. */
const NEVER_MS = 600_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis[Symbol.asyncDispose]())

describe('the Redis bus', () => {
  busCompliance({ describe, test }, async () => {
    const buses = redisBuses(redis)
    return { join: () => buses.join(), [Symbol.asyncDispose]: () => buses[Symbol.asyncDispose]() }
  })
})

describe('a publisher whose connection is cut', () => {
  test('loses no message, duplicates none and keeps their order', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join({}, proxy.url), buses.join()])
    const heard = heardBy(b)
    const notices: Notice[] = []
    b.onNotice((_from, notice) => notices.push(notice))
    const names = Array.from({ length: 3_000 }, (_, index) => `${index}`)
    const done: Promise<unknown>[] = []
    const notified: Promise<boolean>[] = []
    for (const [index, name] of names.entries()) {
      done.push(published(a, name, b))
      if (index % 100 === 0)
        notified.push(a.notify(b.nodeId, { kind: 'taken-over', clientId: 'c', epoch: index }))
      if (index % 10 === 0) await turn()
      if (index % 500 === 250) proxy.cut()
    }
    expect(new Set(await Promise.all(done))).toEqual(new Set([undefined]))
    await expect.poll(() => heard.length).toBe(names.length)
    expect(heard).toEqual(names)
    expect(new Set(await Promise.all(notified))).toEqual(new Set([true]))
    await expect.poll(() => notices.length).toBe(30)
  })
})

describe('a subscriber whose connection is cut', () => {
  test('reports a gap once the subscription is restored', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join({}, proxy.url)])
    const heard = heardBy(b)
    let resyncs = 0
    for (let round = 1; round <= 5; round += 1) {
      const resync = new Promise<void>((resolve) => {
        b.onResync(() => {
          resyncs += 1
          resolve()
        })
      })
      proxy.cut()
      await resync
      await published(a, `${round}`, b)
      await expect.poll(() => heard.at(-1)).toBe(`${round}`)
    }
    expect(resyncs).toBe(5)
    expect(heard).toEqual(['1', '2', '3', '4', '5'])
  })

  test('by CLIENT KILL receives all later messages', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using buses = redisBuses(own)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const heard = heardBy(b)
    const resync = new Promise<void>((resolve) => b.onResync(resolve))
    const operator = new Redis(own.url)
    onTestFinished(() => operator.disconnect())
    expect(await operator.client('KILL', 'TYPE', 'pubsub')).toBe(2)
    await resync
    await published(a, 'after', b)
    await expect.poll(() => heard).toEqual(['after'])
  })
})

describe.each(['hangs', 'is down'] as const)('a Redis that %s', (how) => {
  test('makes publish and notify fail once each after the time-out, not earlier, and works again afterwards', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([
      buses.join({ timeoutMs: TIMEOUT_MS }, proxy.url),
      buses.join(),
    ])
    const heard = heardBy(b)
    if (how === 'hangs') proxy.stall()
    else await proxy.refuse()
    const start = performance.now()
    const done: (string | undefined)[] = []
    for (let index = 0; index < 10; index += 1)
      a.publish(message(`${index}`), [b.nodeId], (error) => done.push(error?.message))
    const notice: Notice = { kind: 'taken-over', clientId: 'c', epoch: 1 }
    await expect(a.notify(b.nodeId, notice)).rejects.toThrow(
      `not taken by Redis within ${TIMEOUT_MS} ms`,
    )
    await expect.poll(() => done.length).toBe(10)
    const tookMs = performance.now() - start
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    for (const why of done) expect(why).toContain(`not taken by Redis within ${TIMEOUT_MS} ms`)
    await proxy.restore()
    await expect.poll(() => published(a, 'after', b)).toBeUndefined()
    await expect.poll(() => heard.at(-1)).toBe('after')
    expect(done).toHaveLength(10)
  })

  test('makes the bus refuse messages beyond its bounds at once, by number and by bytes', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const b = await buses.join()
    const a = await buses.join(
      { timeoutMs: TIMEOUT_MS, pendingMessagesMax: 3, pendingBytesMax: 10_000 },
      proxy.url,
    )
    if (how === 'hangs') proxy.stall()
    else await proxy.refuse()
    const waiting = [published(a, 'x'.repeat(6_000), b)]
    expect(await published(a, 'x'.repeat(6_000), b)).toMatch(/^full: \d+ bytes wait/)
    waiting.push(published(a, 'y', b), published(a, 'z', b))
    expect(await published(a, 'one too many', b)).toBe('full: 3 items wait for Redis')
    for (const why of await Promise.all(waiting)) expect(why).toContain('not taken by Redis')
  })

  test('does not delay closing the bus; pending calls get an error', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const b = await buses.join()
    const a = await buses.join({ timeoutMs: NEVER_MS }, proxy.url)
    if (how === 'hangs') proxy.stall()
    else await proxy.refuse()
    const waiting = published(a, 'm', b)
    await a[Symbol.asyncDispose]()
    expect(await waiting).toContain('closed')
  })
})

describe('a payload on a bus channel that no node has written', () => {
  test.each([
    ['text', Buffer.from('hello')],
    ['a MessagePack value of another shape', Buffer.from([0x81, 0xa1, 0x61, 0x01])],
    ['an empty payload', Buffer.alloc(0)],
    ['random bytes', Buffer.from([0xc1, 0xff, 0xdf, 0xff, 0xff])],
  ])('is counted as a fault and affects no other message: %s', async (_, noise) => {
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const heard = heardBy(b)
    const operator = new Redis(redis.url)
    onTestFinished(() => operator.disconnect())
    const keys = keysWith(buses.settings.prefix)
    for (const { nodeId } of [a, b])
      expect(await operator.publish(keys.notices(nodeId), noise)).toBe(1)
    await published(a, 'after', b)
    await expect.poll(() => heard).toEqual(['after'])
    expect(buses.faults.length).toBeGreaterThan(0)
  })
})

describe('a bus handler that throws', () => {
  test('does not affect the other messages of the frame', async () => {
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const heard: string[] = []
    b.onMessage(({ payload }) => {
      heard.push(payload.toString())
      if (payload.toString() === 'two') throw new Error('bug')
    })
    await Promise.all(['one', 'two', 'three'].map((name) => published(a, name, b)))
    await expect.poll(() => heard).toEqual(['one', 'two', 'three'])
    expect(buses.faults.map(({ message: text }) => text)).toEqual(['bug'])
  })
})
