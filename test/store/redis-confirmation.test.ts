/** The confirmation that an acknowledgement level needs is requested on the connection that wrote, until it arrives. */
import { Message } from '@breakwater/bus'
import { expect, test } from 'vitest'
import { findProgram } from '../kit/program.ts'
import { startRedisClusterServers } from '../kit/redis/redis-cluster-servers.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { countOf, startReplicatedRedis } from '../kit/redis/redis-replica.ts'
import { redisStores } from './redis-stores.ts'
import { append, enqueue, failure, message, payloadsOf } from './store-steps.ts'

const patient = { interval: 20 }
/** Nearly as many as there are buckets. */
const SESSIONS = 300
const PREFIX = 'test:'
const noServer = findProgram('redis-server') === undefined

test.skipIf(noServer)(
  'at level replicated an append completes when a replica has the message, also after it was sent again on another connection',
  async () => {
    await using redis = await startReplicatedRedis([])
    const { master, link } = redis
    await using proxy = await startRedisProxy(master.url)
    await using stores = redisStores({ url: proxy.url, prefix: PREFIX })
    const store = await stores.open({ timeoutMs: 60_000, ack: 'replicated:1' })
    await store.openSession('a', true)
    expect(await enqueue(store, 'a', 'one')).toMatchObject({ positions: [1] })
    link.stall()
    let done = 0
    const held = ['two', 'three'].map((name) => enqueue(store, 'a', name).finally(() => done++))
    await asked(master.url)
    proxy.cut()
    // Sent again it changes nothing, and writes all the same: what is asked behind it covers it.
    await expect.poll(() => countOf(master.url, 'cmdstat', 'pexpire'), patient).toBeGreaterThan(0)
    await asked(master.url)
    expect(done).toBe(0)
    expect(await payloadsOf(store, 'a')).toEqual(['one', 'two', 'three'])
    await link.restore()
    await Promise.all(held)
    expect(await payloadsOf(store, 'a')).toEqual(['one', 'two', 'three'])
  },
)

test.skipIf(noServer)(
  'at level replicated a pending confirmation is requested again on the same connection, and the write is not sent again',
  async () => {
    await using redis = await startReplicatedRedis([])
    const { master, link } = redis
    await using stores = redisStores({ url: master.url, prefix: PREFIX })
    const held: (string | undefined)[] = []
    const onHeld = (why: string | undefined) => held.push(why)
    const store = await stores.open({ timeoutMs: 1_000, ack: 'replicated:1', onHeld })
    await store.openSession('a', true)
    link.stall()
    const { message: why, tookMs } = await failure(() => enqueue(store, 'a', 'late'))
    expect(why).toBe('not taken by Redis within 1000 ms: 0 of 1 replicas have it')
    expect(tookMs).toBeGreaterThanOrEqual(1_000)
    expect(held).toContain('0 of 1 replicas have it')
    expect(store.available).toBe(true)
    await link.restore()
    await expect
      .poll(() => enqueue(store, 'a', 'again').then(({ positions }) => positions), patient)
      .toHaveLength(1)
    expect(held.at(-1)).toBeUndefined()
    expect(await countOf(master.url, 'cmdstat', 'pexpire')).toBe(0)
  },
)

test.skipIf(noServer)(
  'at level replicated sessions, filters, QoS 2 and retained messages wait for the confirmation, and receipts do not',
  async () => {
    await using redis = await startReplicatedRedis([])
    const { master, link } = redis
    await using stores = redisStores({ url: master.url, prefix: PREFIX })
    const store = await stores.open({ timeoutMs: 60_000, ack: 'replicated:1' })
    const plain = await stores.open({ timeoutMs: 60_000 })
    await store.openSession('a', true)
    await enqueue(store, 'a', 'one')
    link.stall()
    const done: string[] = []
    const owner = store.owner('a')
    const callback = (name: string) => (error?: Error) => done.push(error?.message ?? name)
    const note = (name: string) => () => done.push(name)
    const retained = new Message('r', Buffer.from('m'), 1, true)
    const work = {
      session: () => store.openSession('b', true).then(note('session')),
      clean: () => store.openSession('c', false).then(note('clean')),
      filter: () => store.addSubscriptions('a', [{ filter: 'f', qos: 1 }]).then(note('filter')),
      unfilter: () => store.removeSubscriptions('a', ['f']).then(note('unfilter')),
      inbound: () => store.store.storeInbound(owner, 1, message('t'), callback('inbound')),
      release: () =>
        store.store.release(owner, { position: 1, bytes: 1, packetId: 1 }, callback('release')),
      retained: () => append(store, { message: retained, queues: [] }).then(note('retained')),
    }
    for (const start of Object.values(work)) void start()
    await asked(master.url)
    await expect.poll(() => done, patient).toContain('clean')
    expect(done).toEqual(['clean'])
    // It is all there, and level `stored` would be content.
    await append(plain, { message: message('t'), queues: [] })
    expect(await payloadsOf(plain, 'a')).toEqual([])
    await link.restore()
    await expect
      .poll(() => done.toSorted(), patient)
      .toEqual(Object.keys(work).toSorted((a, b) => a.localeCompare(b)))
  },
)

test.skipIf(noServer)(
  'at level replicated a confirmation on a lost connection does not complete the write of a session',
  async () => {
    await using redis = await startReplicatedRedis([])
    const { master, link } = redis
    await using proxy = await startRedisProxy(master.url)
    await using stores = redisStores({ url: proxy.url, prefix: PREFIX })
    const store = await stores.open({ timeoutMs: 60_000, ack: 'replicated:1' })
    await store.openSession('a', true)
    link.stall()
    const work = [
      failure(() => store.addSubscriptions('a', [{ filter: 'f', qos: 1 }])),
      failure(() => store.openSession('b', true)),
    ]
    await asked(master.url)
    proxy.cut()
    await asked(master.url)
    await link.restore()
    for (const { message: why } of await Promise.all(work)) expect(why).toBe('connection lost')
    // They try again, as their clients do.
    await store.addSubscriptions('a', [{ filter: 'f', qos: 1 }])
    expect(await store.openSession('b', true)).toMatchObject({ subscriptions: [] })
  },
)

test.skipIf(noServer)(
  'at level replicated each master of a Redis Cluster confirms once per turn, not once per queue',
  async () => {
    await using redis = await startRedisClusterServers({ replicas: 1 })
    await using stores = redisStores({ url: redis.url, prefix: PREFIX })
    const store = await stores.open({ timeoutMs: 60_000, ack: 'replicated:1' })
    const clientIds = Array.from({ length: SESSIONS }, (_, index) => `c${index}`)
    await Promise.all(clientIds.map((clientId) => store.openSession(clientId, true)))
    const asks = async (): Promise<number> => {
      const counts = redis.masters.map(({ url }) => countOf(url, 'cmdstat', 'wait'))
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
    }
    const before = await asks()
    const queues = clientIds.map((clientId) => ({ clientId, qos: 1 as const }))
    await append(store, { message: message('t', 'm'), queues })
    const more = (await asks()) - before
    expect(more).toBeGreaterThanOrEqual(redis.masters.length)
    expect(more).toBeLessThan(SESSIONS / 2)
    expect(await payloadsOf(store, 'c7')).toEqual(['m'])
  },
  90_000,
)

test.skipIf(noServer)(
  'a Redis that cannot confirm the acknowledgement level is refused in one line',
  async () => {
    const start = async (args: readonly string[], ack: 'fsynced' | 'replicated:1', user = '') => {
      await using redis = await startRedisProcess(args)
      const url = redis.url.replace('redis://', `redis://${user}`)
      await using stores = redisStores({ url, prefix: PREFIX })
      await stores.open({ ack })
    }
    await expect(start([], 'fsynced')).rejects.toThrow(/^level fsynced.*appendonly.*$/)
    const user = ['--user', 'limited', 'on', '>sesame', '~*', '&*', '+@all', '-config', '-wait']
    await expect(start(user, 'replicated:1', 'limited:sesame@')).rejects.toThrow(
      /^level replicated:1: NOPERM/,
    )
  },
)

/** Resolves when the server was asked a few more times how many replicas have it. */
async function asked(url: string): Promise<void> {
  const before = await countOf(url, 'cmdstat', 'wait')
  await expect.poll(() => countOf(url, 'cmdstat', 'wait'), patient).toBeGreaterThan(before + 2)
}
