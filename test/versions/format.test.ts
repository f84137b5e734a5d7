/** Incompatible versions: a newer format is refused at the start, an unknown frame is a gap that is repaired. */
import { createRedisBus, type Notice } from '@breakwater/bus'
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'

const TIMEOUT_MS = 20_000

async function open() {
  const redis = await startRedis()
  onTestFinished(() => redis[Symbol.asyncDispose]())
  const admin = new Redis(redis.url)
  onTestFinished(() => admin.disconnect())
  return { redis, admin, settings: { redisUrl: redis.url, redisPrefix: redis.prefix } }
}

it('the first node records the storage format, and a node that supports only older formats does not start', async () => {
  const { redis, admin, settings } = await open()
  const key = `${redis.prefix}v1:{cluster}:format`
  await (await startNode(settings))[Symbol.asyncDispose]()
  expect(await admin.get(key)).toBe('1')
  await admin.set(key, '2')
  const head = await admin.get(`${redis.prefix}v1:{cluster}:head`)
  await expect(startNode(settings)).rejects.toThrow(
    /^BREAKWATER_REDIS_URL: what is stored there has format 2, and this version knows up to 1: start a newer version$/,
  )
  expect(await admin.get(`${redis.prefix}v1:{cluster}:head`)).toBe(head)
  expect(await admin.hlen(`${redis.prefix}v1:{cluster}:nodes`)).toBe(0)
})

describe.each(['envelope', 'frame'])(
  'when nodes exchange messages in versions of the %s,',
  (form) => {
    /** A node that lives and says this of the form. */
    async function beside(says: object | undefined) {
      const { redis, admin, settings } = await open()
      const facts = { version: '9.0.0', sinceMs: 1, connections: 0 }
      const forms = says === undefined ? {} : { forms: { [form]: says } }
      const key = `${redis.prefix}v1:{cluster}:`
      await admin.hset(`${key}nodes`, 'other', JSON.stringify({ ...facts, ...forms }))
      await admin.zadd(`${key}leases`, Date.now() + 60_000, 'other')
      return { admin, settings, key }
    }

    it('a node joins that writes a version the others read, and reads the version they write', async () => {
      for (const says of [undefined, { reads: [1, 2, 3], writes: 2 }, { reads: [1], writes: 1 }]) {
        const { settings } = await beside(says)
        await using node = await startNode(settings)
        expect(node.id).not.toBe('')
      }
    })

    it('a node that cannot read the version another node writes does not start, and names it', async () => {
      const { admin, settings, key } = await beside({ reads: [1, 2, 3], writes: 3 })
      await expect(startNode(settings)).rejects.toThrow(
        `node other writes ${form} version 3, which this version does not read: start a newer version`,
      )
      expect(await admin.hkeys(`${key}nodes`)).toEqual(['other'])
    })

    it('a node that writes a version another node cannot read does not start, and names it', async () => {
      const { settings } = await beside({ reads: [0], writes: 1 })
      await expect(startNode(settings)).rejects.toThrow(
        `node other does not read ${form} version 1, which this version writes: replace that node`,
      )
    })

    it('a node with an expired lease is ignored in that check', async () => {
      const { admin, settings, key } = await beside({ reads: [9], writes: 9 })
      await admin.zadd(`${key}leases`, 1, 'other')
      await using node = await startNode(settings)
      expect(node.id).not.toBe('')
    })
  },
)

it('a frame of a later version is counted, and clients that may have missed its messages are closed', async () => {
  const { redis, admin, settings } = await open()
  await using a = await startNode(settings)
  await using b = await startNode(settings)
  const options = { timeoutMs: TIMEOUT_MS }
  await using live = await connectAt(a, { clientId: 'live' }, options)
  await using stored = await connectAt(a, { clientId: 'stored', clean: false }, options)
  await using careless = await connectAt(a, { clientId: 'careless' }, options)
  await live.subscribe(['t', 1])
  await stored.subscribe(['t', 1])
  await careless.subscribe(['t', 0])
  await admin.xadd(`${redis.prefix}v1:{${a.id}}:inbox`, '*', 'f', Buffer.from([9, 1, 97]))
  await live.untilClosed()
  expect(a.closeReasons()).toEqual(['bus-overflow'])
  await a.logged(({ error }) => error === 'frame version 9 is not readable by this node')
  const page = await MetricsPage.of(a)
  expect(page.value('breakwater_bus_frames_unreadable_total')).toBe(1)
  await using publisher = await connectAt(b, { clientId: 'publisher' }, options)
  await publisher.publish({ topic: 't', payload: 'after', qos: 1 })
  for (const client of [stored, careless])
    expect((await client.receive(1)).map(({ payload }) => payload.toString())).toEqual(['after'])
})

it('a notice of a later version is ignored', async () => {
  const { redis, settings } = await open()
  await using node = await startNode(settings)
  await using client = await connectAt(node, { clientId: 'client' }, { timeoutMs: TIMEOUT_MS })
  const { url, prefix } = redis
  await using bus = await createRedisBus(
    { url, password: undefined, ca: undefined, prefix },
    { timeoutMs: TIMEOUT_MS, onFault: () => undefined },
  )
  const answered = Promise.withResolvers<Notice>()
  bus.onNotice((_, notice) => answered.resolve(notice))
  const notice = { clientId: 'client', epoch: Number.MAX_SAFE_INTEGER }
  await bus.notify(node.id, { kind: 'of-tomorrow', ...notice } as never)
  // A later notice of another node: the earlier one has been received when this one is answered.
  await bus.notify(node.id, { kind: 'taken-over', ...notice, clientId: 'nobody' })
  expect(await answered.promise).toMatchObject({ kind: 'let-go', clientId: 'nobody' })
  await client.expectSilence()
})
