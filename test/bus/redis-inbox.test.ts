/** The inboxes of the bus in Redis: when they are cut off, full, deleted or corrupt, and what they cost. */
import { setImmediate as turn } from 'node:timers/promises'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { gapsOf, heardBy, message, published } from './publishing.ts'
import { redisBuses } from './redis-buses.ts'

const CASE_MS = 60_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis[Symbol.asyncDispose]())

function operatorOf(url: string): Redis {
  const operator = new Redis(url)
  onTestFinished(() => operator.disconnect())
  return operator
}

async function keysUnder(operator: Redis, prefix: string): Promise<string[]> {
  return (await operator.keys('*')).filter((key) => key.startsWith(prefix))
}

/** How often each command was called, scripts' own calls included. */
async function callsOf(operator: Redis, ...commands: readonly string[]): Promise<number[]> {
  const stats = await operator.info('commandstats')
  return commands.map((name) =>
    Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0),
  )
}

describe('cutting all connections to Redis', () => {
  test(
    'under load loses no message, duplicates none and keeps their order',
    async () => {
      // CLIENT KILL reaches every client of the server.
      await using own = await startRedis({ args: ['--maxclients', '100'] })
      await using buses = redisBuses(own)
      const [a, b] = await Promise.all([buses.join(), buses.join()])
      const heard = heardBy(b)
      const gaps = gapsOf(b)
      const operator = operatorOf(own.url)
      const names = Array.from({ length: 20_000 }, (_, index) => `${index}`)
      const done: Promise<unknown>[] = []
      let killed = 0
      for (const [index, name] of names.entries()) {
        done.push(published(a, name, b))
        if (index % 10 === 0) await turn()
        if (index % 2_000 !== 1_000) continue
        // Connected again, and more is under way.
        await expect.poll(() => heard.length, { interval: 1 }).toBeGreaterThan(index - 500)
        for (const type of ['normal', 'pubsub'])
          killed += Number(await operator.call('client', 'kill', 'type', type, 'skipme', 'yes'))
      }
      expect(new Set(await Promise.all(done))).toEqual(new Set([undefined]))
      await expect.poll(() => heard.length).toBe(names.length)
      expect(heard).toEqual(names)
      expect(gaps).toEqual([])
      // Ten times, two of each node's and its subscriber; some may not be back yet.
      expect(killed).toBeGreaterThan(20)
    },
    CASE_MS,
  )
})

describe('a full inbox', () => {
  test('does not delay the publisher, is reported to its node, and takes messages again later', async () => {
    await using buses = redisBuses(redis)
    const dropped = new Map<string, number>()
    const a = await buses.join({
      inboxBytesMax: 10_000,
      onDropped: (reason, messages) => dropped.set(reason, (dropped.get(reason) ?? 0) + messages),
    })
    const [b, c] = await Promise.all([buses.join(), buses.join()])
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const [heardByC, gapsOfC] = [heardBy(c), gapsOf(c)]
    const operator = operatorOf(redis.url)
    // As if its node had long not read: what it has read of does not count.
    const keys = keysWith(buses.settings.prefix)
    await operator.hincrby(keys.inboxBytes(b.nodeId), 'in', 20_000)
    for (const name of ['1', '2', '3']) expect(await published(a, name, b, c)).toBeUndefined()
    await expect.poll(() => heardByC).toEqual(['1', '2', '3'])
    expect([heard, gaps, Object.fromEntries(dropped)]).toEqual([[], [], { 'inbox-full': 3 }])
    await operator.hincrby(keys.inboxBytes(b.nodeId), 'in', -20_000)
    expect(await published(a, '4', b)).toBeUndefined()
    await expect.poll(() => gaps).toEqual(['the inbox was full'])
    expect(await published(a, '5', b)).toBeUndefined()
    await expect.poll(() => heard).toEqual(['4', '5'])
    expect([gaps.length, gapsOfC]).toEqual([1, []])
  })

  test('is full of unread messages, and has room again once they are read', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    let dropped = 0
    const a = await buses.join({
      inboxBytesMax: 300_000,
      onDropped: (_, messages) => {
        dropped += messages
      },
    })
    const b = await buses.join({}, proxy.url)
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    proxy.stall()
    for (let index = 0; index < 10; index += 1)
      expect(await published(a, `${index}`.padEnd(50_000), b)).toBeUndefined()
    expect(dropped).toBe(5)
    await proxy.restore()
    await expect.poll(() => gaps).toEqual(['the inbox was full'])
    expect(heard.map(Number)).toEqual([0, 1, 2, 3, 4])
    const keys = keysWith(buses.settings.prefix)
    const operator = operatorOf(redis.url)
    const [put, taken] = await operator.hmget(keys.inboxBytes(b.nodeId), 'in', 'out')
    expect(taken).toBe(put)
    await published(a, '10', b)
    await expect.poll(() => heard.map(Number)).toEqual([0, 1, 2, 3, 4, 10])
    expect([gaps.length, dropped]).toEqual([1, 5])
  })
})

describe('the lag of an inbox', () => {
  test('is the number and the age of unread messages while its node does not read, and zero afterwards', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join({}, proxy.url)])
    const heard = heardBy(b)
    const operator = operatorOf(redis.url)
    const keys = keysWith(buses.settings.prefix)
    await published(a, 'read', b)
    await expect.poll(() => heard).toEqual(['read'])
    expect(await b.lag()).toEqual({ bytes: 0, seconds: 0 })
    const appended = async (): Promise<number> =>
      Number(await operator.hget(keys.inboxBytes(b.nodeId), 'in'))
    const before = await appended()
    proxy.stall()
    // Asked of Redis when the way is free again, in the name of a reader that has read nothing more.
    const lag = b.lag()
    for (const name of ['1', '2', '3']) await published(a, name.padEnd(10_000), b)
    const [[first] = ['']] = await operator.xrange(keys.inbox(b.nodeId), '-', '+', 'COUNT', 1)
    const waiting = (await appended()) - before
    const ageMs = async (): Promise<number> => {
      const [seconds, us] = await operator.time()
      return Number(seconds) * 1_000 + Number(us) / 1_000 - Number.parseInt(first)
    }
    await expect.poll(ageMs).toBeGreaterThan(300)
    const least = await ageMs()
    await proxy.restore()
    const { bytes = 0, seconds = 0 } = (await lag) ?? {}
    expect(bytes).toBe(waiting)
    expect(seconds * 1_000).toBeGreaterThanOrEqual(least)
    expect(seconds * 1_000).toBeLessThanOrEqual(await ageMs())
    await expect.poll(() => heard.length).toBe(4)
    expect(await b.lag()).toEqual({ bytes: 0, seconds: 0 })
  })

  test('does not count messages that Redis has lost, and is unknown when the inbox was created anew', async () => {
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const heard = heardBy(b)
    const operator = operatorOf(redis.url)
    const keys = keysWith(buses.settings.prefix)
    await published(a, '1', b)
    await expect.poll(() => heard).toEqual(['1'])
    await operator.hincrby(keys.inboxBytes(b.nodeId), 'in', 5_000)
    expect(await b.lag()).toEqual({ bytes: 0, seconds: 0 })
    await operator.hset(keys.inboxBytes(b.nodeId), 'generation', 77)
    expect(await b.lag()).toBeUndefined()
  })
})

describe('an inbox that was deleted', () => {
  test('is created again by its node, which reports one gap and goes on', async () => {
    await using buses = redisBuses(redis)
    const dropped: unknown[] = []
    const a = await buses.join({ onDropped: (...what) => dropped.push(what) })
    const b = await buses.join()
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const keys = keysWith(buses.settings.prefix)
    const operator = operatorOf(redis.url)
    await published(a, 'before', b)
    await expect.poll(() => heard).toEqual(['before'])
    await operator.unlink(keys.inbox(b.nodeId), keys.inboxBytes(b.nodeId))
    expect(await published(a, 'lost', b)).toBeUndefined()
    expect(dropped).toEqual([['inbox-gone', 1]])
    await expect.poll(() => gaps).toEqual(['the inbox was gone'])
    for (const name of ['after', 'and after']) expect(await published(a, name, b)).toBeUndefined()
    await expect.poll(() => heard).toEqual(['before', 'after', 'and after'])
    expect(gaps).toHaveLength(1)
    expect(await operator.pttl(keys.inbox(b.nodeId))).toBeGreaterThan(500_000)
    expect(await operator.pttl(keys.inboxBytes(b.nodeId))).toBeGreaterThan(500_000)
  })

  test('with unread messages, and created again before the sender notices, is reported as one gap', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join({}, proxy.url)])
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const keys = keysWith(buses.settings.prefix)
    await published(a, '1', b)
    await expect.poll(() => heard).toEqual(['1'])
    proxy.stall()
    // The next one is on its way already, where the reader was asking for it.
    for (const name of ['maybe', 'lost', 'lost']) await published(a, name, b)
    await operatorOf(redis.url).unlink(keys.inbox(b.nodeId), keys.inboxBytes(b.nodeId))
    await proxy.restore()
    await expect.poll(() => gaps).toEqual(['the inbox was gone'])
    for (const name of ['2', '3']) await published(a, name, b)
    await expect.poll(() => heard.filter((name) => name !== 'maybe')).toEqual(['1', '2', '3'])
    expect(gaps).toHaveLength(1)
  })

  test('stays deleted after its node has left; the inbox of a killed node expires', async () => {
    const operator = operatorOf(redis.url)
    const buses = redisBuses(redis)
    const { prefix } = buses.settings
    {
      await using all = buses
      const [a, b] = await Promise.all([all.join(), all.join()])
      const keys = await keysUnder(operator, prefix)
      expect(keys).toHaveLength(4)
      for (const key of keys) expect(await operator.pttl(key)).toBeGreaterThan(0)
      await b[Symbol.asyncDispose]()
      expect(await published(a, 'late', b)).toBeUndefined()
      a.tell(b.nodeId, { kind: 'confirmed', version: 1 })
      expect(await published(a, 'later', b)).toBeUndefined()
      expect(await keysUnder(operator, prefix)).toHaveLength(2)
    }
    expect(await keysUnder(operator, prefix)).toEqual([])
  })
})

test('a frame that was appended twice because the answer was lost is received once', async () => {
  await using proxy = await startRedisProxy(redis.url)
  await using buses = redisBuses(redis)
  const [a, b] = await Promise.all([buses.join(), buses.join({}, proxy.url)])
  const [heard, gaps] = [heardBy(b), gapsOf(b)]
  const signals: number[] = []
  b.onSignal((_, signal) => signal.kind === 'confirmed' && signals.push(signal.version))
  const operator = operatorOf(redis.url)
  const inbox = keysWith(buses.settings.prefix).inbox(b.nodeId)
  proxy.stall()
  a.tell(b.nodeId, { kind: 'confirmed', version: 1 })
  for (const name of ['1', '2']) await published(a, name, b)
  const entries = await operator.xrangeBuffer(inbox, '-', '+')
  for (const [, [name, frame]] of entries)
    if (name?.toString() === 'f') await operator.xadd(inbox, '*', name, frame ?? '')
  await proxy.restore()
  await published(a, '3', b)
  await expect.poll(() => heard).toEqual(['1', '2', '3'])
  expect([signals, gaps]).toEqual([[1], []])
})

describe('a loss of inbox entries in Redis', () => {
  test('in the middle of an inbox is a gap, found by the number of the next frame', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join({}, proxy.url)])
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const operator = operatorOf(redis.url)
    const inbox = keysWith(buses.settings.prefix).inbox(b.nodeId)
    proxy.stall()
    // The first is on its way to the reader as soon as it is there.
    for (const name of ['1', '2', '3', '4']) await published(a, name, b)
    const lost = (await operator.xrange(inbox, '-', '+')).find(([, [, frame]]) =>
      frame?.endsWith('2'),
    )
    expect(await operator.xdel(inbox, lost?.[0] ?? '')).toBe(1)
    await proxy.restore()
    await expect.poll(() => heard).toEqual(['1', '3', '4'])
    expect(gaps).toEqual([`Redis lost what ${a.nodeId} had appended`])
  })

  test('at the end of an inbox is a gap', async () => {
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const operator = operatorOf(redis.url)
    const inbox = keysWith(buses.settings.prefix).inbox(b.nodeId)
    await published(a, '1', b)
    await expect.poll(() => operator.xlen(inbox)).toBe(0)
    // As a replica has it that had not yet heard of the last one.
    await operator.call('xsetid', inbox, '1-1')
    await expect.poll(() => gaps).toEqual(['Redis lost the end of the inbox'])
    await published(a, '2', b)
    await expect.poll(() => heard).toEqual(['1', '2'])
    expect(gaps).toHaveLength(1)
  })
})

describe('an inbox entry that is not a valid frame', () => {
  test.each([
    ['a later version', Buffer.from([2, 1, 97])],
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from([1, 255, 0, 0])],
  ])('is a fault and a gap, and the reader goes on: %s', async (_, noise) => {
    await using buses = redisBuses(redis)
    const [a, b] = await Promise.all([buses.join(), buses.join()])
    const [heard, gaps] = [heardBy(b), gapsOf(b)]
    const keys = keysWith(buses.settings.prefix)
    await operatorOf(redis.url).xadd(keys.inbox(b.nodeId), '*', 'f', noise)
    await published(a, 'after', b)
    await expect.poll(() => heard).toEqual(['after'])
    expect(gaps).toEqual(['a frame could not be read'])
    expect(buses.faults.map(({ name }) => name)).toEqual(['EnvelopeError'])
  })
})

describe('one turn of the event loop', () => {
  test('costs one append per target, for any number of messages and signals', async () => {
    await using own = await startRedis({ args: ['--maxclients', '100'] })
    await using buses = redisBuses(own)
    const [a, b, c] = await Promise.all([buses.join(), buses.join(), buses.join()])
    const [heard, heardByC] = [heardBy(b), heardBy(c)]
    const signals: number[] = []
    b.onSignal((_, signal) => signal.kind === 'confirmed' && signals.push(signal.version))
    const operator = operatorOf(own.url)
    const before = await callsOf(operator, 'xadd', 'evalsha', 'xtrim')
    const TURNS = 20
    for (let round = 1; round <= TURNS; round += 1) {
      const done = Array.from({ length: 50 }, (_, index) =>
        index % 2 === 0 ? published(a, 'both', b, c) : published(a, 'b', b),
      )
      for (let version = 0; version < 10; version += 1)
        a.tell(b.nodeId, { kind: 'confirmed', version: round * 10 + version })
      expect(new Set(await Promise.all(done))).toEqual(new Set([undefined]))
    }
    await expect.poll(() => [heard.length, heardByC.length]).toEqual([50 * TURNS, 25 * TURNS])
    await expect.poll(() => signals).toEqual(Array.from({ length: TURNS }, (_, i) => i * 10 + 19))
    const after = await callsOf(operator, 'xadd', 'evalsha', 'xtrim')
    const [appends, scripts, trims] = after.map((count, index) => count - (before[index] ?? 0))
    expect(appends).toBe(2 * TURNS)
    expect((scripts ?? 0) - (trims ?? 0)).toBe(2 * TURNS)
  })
})

test('a frame is counted by sender and receiver when it carries messages, and not when it carries only signals', async () => {
  await using buses = redisBuses(redis)
  const frames = { a: [] as string[], b: [] as string[] }
  const a = await buses.join({ onFrame: (direction) => frames.a.push(direction) })
  const b = await buses.join({ onFrame: (direction) => frames.b.push(direction) })
  const heard = heardBy(b)
  const signals: number[] = []
  b.onSignal((_, signal) => {
    if (signal.kind === 'confirmed') signals.push(signal.version)
  })
  a.tell(b.nodeId, { kind: 'confirmed', version: 1 })
  await expect.poll(() => signals).toEqual([1])
  expect(frames).toEqual({ a: [], b: [] })
  a.tell(b.nodeId, { kind: 'confirmed', version: 2 })
  await Promise.all(['1', '2'].map((name) => published(a, name, b)))
  await expect.poll(() => heard).toEqual(['1', '2'])
  expect(signals).toEqual([1, 2])
  expect(frames).toEqual({ a: ['out'], b: ['in'] })
})

test('the bus loads its scripts again after Redis has forgotten them', async () => {
  await using own = await startRedis({ args: ['--maxclients', '100'] })
  await using buses = redisBuses(own)
  const [a, b] = await Promise.all([buses.join(), buses.join()])
  const heard = heardBy(b)
  await operatorOf(own.url).script('FLUSH')
  await new Promise<void>((resolve, reject) =>
    a.publish(message('after'), [b.nodeId], (error) => (error ? reject(error) : resolve())),
  )
  await expect.poll(() => heard).toEqual(['after'])
})
