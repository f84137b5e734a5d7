/** What nodes know of each other: the log, its resync, and the promise that `announce` makes. */
import type { Done } from '@breakwater/cluster'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { join, PATIENT, stoppable, type Member } from './log-member.ts'

test('an announced filter is known at every node, also at nodes that join later', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a')
  await using b = await join(members, redis, 'b')
  const changed = { clientId: 'c 1', filters: ['x/#', 'y/+', '\u00e9 "'] }
  await a.cluster.announce({ added: ['x/#', 'y/+'], sessions: ['s1'], changed })
  expect([...b.routes]).toEqual(['a x/#', 'a y/+'])
  expect(b.sessions).toEqual(['s1'])
  expect(b.filters).toEqual(['c 1 x/#', 'c 1 y/+', 'c 1 \u00e9 "'])
  await using c = await join(members, redis, 'c')
  expect([...c.routes].toSorted()).toEqual(['a x/#', 'a y/+'])
  a.cluster.withdraw(['x/#'])
  await a.cluster.announce({ added: ['z'] })
  for (const member of [b, c]) expect([...member.routes].toSorted()).toEqual(['a y/+', 'a z'])
})

test('an announcement waits for a silent node until that node has lost its view lease, and no longer', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', { viewLeaseMs: 400 })
  await using b = await join(members, redis, 'b', { viewLeaseMs: 400 })
  b.silent = true
  const start = performance.now()
  await a.cluster.announce({ added: ['x'] })
  expect(performance.now() - start).toBeGreaterThan(395)
})

test('a filter that is announced again waits until every node has confirmed the new announcement', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', PATIENT)
  await using b = await join(members, redis, 'b', PATIENT)
  await using admin = stoppable(new Redis(redis.url))
  const head = async (): Promise<number> =>
    Number(await admin.redis.get(`${redis.prefix}v1:{cluster}:head`))
  b.silent = true
  const first = a.cluster.announce({ added: ['x'] })
  await expect.poll(() => [...b.routes]).toEqual(['a x'])
  const known = await head()
  a.cluster.withdraw(['x'])
  const second = a.cluster.announce({ added: ['x'] })
  await expect.poll(head).toBeGreaterThan(known)
  a.cluster.confirmedBy('b', known)
  await first
  let isTold = false
  const third = a.cluster.announce({ added: ['x'] }).then(() => (isTold = true))
  await called((done) => a.cluster.whenCaughtUp(done))
  expect(isTold).toBe(false)
  a.cluster.confirmedBy('b', await head())
  await Promise.all([second, third])
})

test('a node that reads everything again still waits for the confirmations of other nodes', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', PATIENT)
  await using b = await join(members, redis, 'b', PATIENT)
  await using admin = stoppable(new Redis(redis.url))
  b.silent = true
  let isTold = false
  const announced = a.cluster.announce({ added: ['x'] }).then(() => (isTold = true))
  await expect.poll(() => [...b.routes]).toEqual(['a x'])
  const loads = a.events.length
  await admin.redis.incr(`${redis.prefix}v1:{cluster}:head`)
  const next = a.cluster.announce({ added: ['y'] })
  await expect.poll(() => a.events.length).toBeGreaterThan(loads)
  await called((done) => a.cluster.whenCaughtUp(done))
  expect(isTold).toBe(false)
  b.silent = false
  const last = a.cluster.announce({ added: ['z'] })
  await Promise.all([announced, next, last])
})

test('a changed retained topic is known at once at its node and at nodes that catch up, also beside a silent node', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', PATIENT)
  await using b = await join(members, redis, 'b', PATIENT)
  await using c = await join(members, redis, 'c', PATIENT)
  c.silent = true
  const expected: string[] = []
  for (let index = 0; index < 100; index += 1) {
    const topic = `t/${index}`
    expected.push(topic)
    await called((done) => a.cluster.announceTopics([topic], done))
    expect(a.topics).toEqual(expected)
    // Several at a time share what they wait for.
    await Promise.all([1, 2, 3].map(() => called((done) => b.cluster.whenCaughtUp(done))))
    expect(b.topics).toEqual(expected)
  }
  await Promise.all(
    ['x', 'y', 'x'].map((topic) => called((done) => b.cluster.announceTopics([topic], done))),
  )
  await called((done) => a.cluster.whenCaughtUp(done))
  expect(a.topics).toEqual([...expected, 'x', 'y'])
})

test('a node that cannot read the end of the cluster log gets an error after the time-out, and not before', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  const members = new Map<string, Member>()
  const timeoutMs = 400
  await using a = await join(members, { ...redis, url: proxy.url }, 'a', { timeoutMs })
  proxy.stall()
  const start = performance.now()
  await expect(called((done) => a.cluster.whenCaughtUp(done))).rejects.toThrow(
    "the end of the cluster's log not reached within 400 ms",
  )
  expect(performance.now() - start).toBeGreaterThan(timeoutMs - 5)
  await proxy.restore()
  await expect.poll(() => a.cluster.confirmed).toBe(true)
  await called((done) => a.cluster.whenCaughtUp(done))
})

test('a log entry without topics, as an older version writes it, is read', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a')
  await using admin = stoppable(new Redis(redis.url))
  const version = await admin.redis.incr(`${redis.prefix}v1:{cluster}:head`)
  const entry = { kind: 'changed', node: 'old', added: ['x'], removed: [], sessions: ['s'] }
  const key = `${redis.prefix}v1:{cluster}:log`
  await admin.redis.xadd(key, `0-${version}`, 'e', JSON.stringify(entry))
  await called((done) => a.cluster.whenCaughtUp(done))
  expect([...a.routes]).toEqual(['old x'])
  expect(a.sessions).toEqual(['s'])
  expect(a.topics).toEqual([])
})

test('the routes of a node that leaves are removed, and no node waits for it', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  await using a = await join(members, redis, 'a', PATIENT)
  const b = await join(members, redis, 'b', PATIENT)
  await b.cluster.announce({ added: ['x'] })
  expect([...a.routes]).toEqual(['b x'])
  b.silent = true
  const announced = a.cluster.announce({ added: ['y'] })
  await b[Symbol.asyncDispose]()
  await announced
  expect([...a.routes]).toEqual([])
})

test('a node that is cut off loses its view lease, is declared dead, and announces everything again', async () => {
  await using redis = await startRedis()
  await using proxy = await startRedisProxy(redis.url)
  const members = new Map<string, Member>()
  const times = { leaseMs: 600, viewLeaseMs: 200 }
  await using a = await join(members, redis, 'a', times)
  await using b = await join(members, { ...redis, url: proxy.url }, 'b', times)
  await b.cluster.announce({ added: ['x'] })
  proxy.stall()
  await expect.poll(() => b.cluster.confirmed).toBe(false)
  await expect.poll(() => a.events).toContain('left b')
  expect(a.routes.size).toBe(0)
  await a.cluster.announce({ added: ['while-away'] })
  await proxy.restore()
  await expect.poll(() => b.events).toContain('lease lost')
  await expect.poll(() => [...a.routes]).toEqual(['b x'])
  await expect.poll(() => [...b.routes]).toEqual(['a while-away'])
  await expect.poll(() => b.cluster.confirmed).toBe(true)
})

test('a second announcement of all filters completes when every node knows the filters or has lost its view lease', async () => {
  await using redis = await startRedis()
  await using proxies = new AsyncDisposableStack()
  const [ofA, ofB] = [
    proxies.use(await startRedisProxy(redis.url)),
    proxies.use(await startRedisProxy(redis.url)),
  ]
  const members = new Map<string, Member>()
  const times = { leaseMs: 3_000, viewLeaseMs: 1_500, timeoutMs: 30_000 }
  await using a = await join(members, { ...redis, url: ofA.url }, 'a', times)
  await using b = await join(members, { ...redis, url: ofB.url }, 'b', times)
  await using admin = stoppable(new Redis(redis.url))
  await b.cluster.announce({ added: ['x'] })
  const head = Number(await admin.redis.get(`${redis.prefix}v1:{cluster}:head`))
  // The next entry says that b is dead; what comes behind it a is to learn later.
  const reading = ofA.silenceAfter(`0-${head + 1}`)
  ofB.stall()
  await reading.silenced
  expect(a.routes.size).toBe(0)
  await ofB.restore()
  await expect.poll(() => b.events, { interval: 1 }).toContain('lease lost')
  await b.cluster.announce({ added: ['x'] })
  expect(a.cluster.confirmed).toBe(false)
  await expect.poll(() => b.events).toContain('heard')
  reading.release()
  await expect.poll(() => [...a.routes]).toEqual(['b x'])
})

test('nodes fill a Redis that comes back empty again, and no node loses its lease', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  const times = { leaseMs: 10_000, viewLeaseMs: 200 }
  await using a = await join(members, redis, 'a', times)
  await using b = await join(members, redis, 'b', times)
  await a.cluster.announce({ added: ['x'] })
  await using admin = stoppable(new Redis(redis.url))
  const keys = await admin.redis.keys(`${redis.prefix}*`)
  await admin.redis.del(...keys)
  await expect.poll(() => b.events.filter((event) => event === 'load').length).toBeGreaterThan(1)
  await expect.poll(() => [...b.routes]).toEqual(['a x'])
  expect(a.events).not.toContain('lease lost')
})

test('the last node that leaves keeps the cluster log in Redis, and no key of its own', async () => {
  await using redis = await startRedis()
  const members = new Map<string, Member>()
  const a = await join(members, redis, 'a')
  await a.cluster.announce({ added: ['x'] })
  await a[Symbol.asyncDispose]()
  await using admin = stoppable(new Redis(redis.url))
  const keys = await admin.redis.keys(`${redis.prefix}*`)
  expect(keys.map((key) => key.slice(redis.prefix.length)).toSorted()).toEqual([
    'v1:{cluster}:format',
    'v1:{cluster}:generation',
    'v1:{cluster}:head',
    'v1:{cluster}:log',
    'v1:{cluster}:log-usage',
  ])
})

test('a node that comes back and departs again during its adoption is adopted once more', async () => {
  await using redis = await startRedis()
  await using a = await join(new Map(), redis, 'a', { leaseMs: 300, viewLeaseMs: 100 })
  await using admin = stoppable(new Redis(redis.url))
  const departed = `${redis.prefix}v1:{cluster}:departed`
  const adopted = Promise.withResolvers<void>()
  a.adopted = adopted.promise
  await admin.redis.zadd(departed, Date.now(), 'b')
  await expect.poll(() => a.events).toContain('adopt b')
  const claim = await admin.redis.zscore(departed, 'b')
  // The claim is renewed for as long as it takes.
  await expect.poll(() => admin.redis.zscore(departed, 'b')).not.toBe(claim)
  await admin.redis.zadd(departed, Date.now(), 'b')
  adopted.resolve()
  const times = (): number => a.events.filter((event) => event === 'adopt b').length
  await expect.poll(times).toBe(2)
  await expect.poll(() => admin.redis.exists(departed)).toBe(0)
})

function called(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === undefined ? resolve() : reject(error)))
  })
}
