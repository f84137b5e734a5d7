/** Versions that cannot talk: a newer format is refused at the start, an unknown frame is a gap that is repaired. */
import { createRedisBus, type Notice } from '@breakwater/bus'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
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

it('the first node says of which format everything is; a node that knows only older ones does not start', async () => {
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

it('a frame of a later version is counted and repaired: who may have missed something is told', async () => {
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

it('a notice of a later version is passed over', async () => {
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
  // Behind it, of somebody else: it has been heard when this is answered.
  await bus.notify(node.id, { kind: 'taken-over', ...notice, clientId: 'nobody' })
  expect(await answered.promise).toMatchObject({ kind: 'let-go', clientId: 'nobody' })
  await client.expectSilence()
})
