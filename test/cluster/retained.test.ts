/** Retained messages set at one node and read at another: known at once, equal to Redis after every race and loss. */
import { encodeMessage, Message } from '@breakwater/bus'
import { bucketOf, keysWith, RETAINED_BUCKETS } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { PacketFlow } from '../fault/packet-flow.ts'
import { spawnNode, startNode, type TestNode } from '../kit/node.ts'
import { monitorRedis } from '../kit/redis/redis-monitor.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

const TRIES = 200
const RESYNCED = { timeout: 30_000 }

let resources: AsyncDisposableStack
let redis: TestRedis
let admin: Redis
let a: TestNode
let b: TestNode
beforeEach(async () => {
  resources = new AsyncDisposableStack()
  // A server of its own: others on it would be counted, and lose their connections.
  redis = resources.use(await startRedis({ args: ['--save', ''] }))
  admin = new Redis(redis.url)
  resources.defer(() => admin.disconnect())
  a = await join()
  b = await join()
})
afterEach(() => resources.disposeAsync())

async function join(): Promise<TestNode> {
  const { url: redisUrl, prefix: redisPrefix } = redis
  return resources.use(await startNode({ redisUrl, redisPrefix }))
}

const retainedKey = (topic: string): string =>
  keysWith(redis.prefix).retained(bucketOf(topic, RETAINED_BUCKETS))

/** Behind the back of all nodes. */
async function storeUntold(topics: readonly string[]): Promise<void> {
  const pipeline = admin.pipeline()
  for (const topic of topics) {
    const message = encodeMessage(new Message(topic, Buffer.from('untold'), 1, true))
    pipeline.hset(retainedKey(topic), topic, message)
  }
  await pipeline.exec()
}

async function topicsInRedis(): Promise<string[]> {
  const keys = keysWith(redis.prefix)
  const buckets = Array.from({ length: RETAINED_BUCKETS }, (_, bucket) => keys.retained(bucket))
  return (await Promise.all(buckets.map((key) => admin.hkeys(key)))).flat().toSorted()
}

async function indexSize(node: TestNode): Promise<number> {
  return (await MetricsPage.of(node)).value('breakwater_retained_messages')
}

/** A new client's: topics of the retained messages, until the one of the second filter ends them. */
async function replayed(node: TestNode, filter: string): Promise<string[]> {
  const end = unique('end')
  await using publisher = await connectAt(node)
  await publisher.publish({ topic: end, payload: 'x', qos: 1, retain: true })
  const topics: string[] = []
  let isOver = false
  await using flow = await PacketFlow.connect(node, { clientId: unique('s') }, (packet) => {
    if (packet.type !== 'publish') return
    if (packet.topic === end) isOver = true
    else topics.push(packet.topic)
  })
  flow.send(encodeSubscribe(1, [[filter, 0]]), encodeSubscribe(2, [[end, 0]]))
  await flow.until(() => isOver, 'the end of the replay')
  await publisher.publish({ topic: end, payload: '', qos: 1, retain: true })
  return topics.filter((topic) => topic !== end).toSorted()
}

/** What a node has in its index is what Redis has: as much, and all of it. */
async function expectEqual(node: TestNode): Promise<void> {
  const inRedis = await topicsInRedis()
  expect(await replayed(node, '#')).toEqual(inRedis)
  expect(await indexSize(node)).toBe(inRedis.length)
}

describe('a retained message', () => {
  it.each([0, 1, 2] as const)(
    `that was acknowledged is found at the other node, ${TRIES} times: QoS %i`,
    async (qos) => {
      await using publisher = await connectAt(a)
      await using subscriber = await connectAt(b)
      const root = unique('at-once')
      for (let index = 0; index < TRIES; index += 1) {
        const topic = `${root}/${index}`
        await publisher.publish({ topic, payload: 'x', qos: 1, retain: true })
        // Announced long ago: nothing but the retained messages waits for the log.
        await subscriber.subscribe([`${root}/+`, qos])
        const found = await subscriber.receive(1)
        expect(found).toMatchObject([{ topic, retain: true, qos: Math.min(qos, 1) }])
        await subscriber.unsubscribe(`${root}/+`)
        await publisher.publish({ topic, payload: '', qos: 1, retain: true })
      }
    },
  )

  it('is found by exact filters, by several filters of one SUBSCRIBE, and at QoS 1 in a stored session', async () => {
    await using publisher = await connectAt(a)
    const root = unique('several')
    for (const name of ['x', 'y', 'z'])
      await publisher.publish({ topic: `${root}/${name}`, payload: name, qos: 2, retain: true })
    await using subscriber = await connectAt(b, { clean: false })
    await subscriber.subscribe([`${root}/x`, 1], [`${root}/none`, 1], [`${root}/+`, 1])
    const found = await subscriber.receive(4)
    expect(found.map(({ payload }) => payload.toString()).toSorted()).toEqual(['x', 'x', 'y', 'z'])
    for (const { retain, qos } of found) expect({ retain, qos }).toEqual({ retain: true, qos: 1 })
  })

  it('keeps a topic with characters that are wildcards elsewhere', async () => {
    const root = unique('glob')
    const names = ['[ab]', 'a', '*', '?', 'x', '\\a', '\\', '[', ']', '^a', '{a,b}']
    await using publisher = await connectAt(a)
    for (const name of names)
      await publisher.publish({ topic: `${root}/${name}/v`, payload: 'x', qos: 1, retain: true })
    const all = names.map((name) => `${root}/${name}/v`).toSorted()
    for (const node of [a, b]) {
      expect(await replayed(node, `${root}/+/v`)).toEqual(all)
      for (const name of names)
        expect(await replayed(node, `${root}/${name}/+`)).toEqual([`${root}/${name}/v`])
    }
  })

  it('is not looked up in Redis by a SUBSCRIBE when no retained message matches', async () => {
    await storeUntold(Array.from({ length: 1_000 }, (_, index) => `elsewhere/${index}`))
    const c = await join()
    expect(await indexSize(c)).toBe(1_000)
    await using subscriber = await connectAt(c)
    await using publisher = await connectAt(a)
    await publisher.publish({ topic: 'marker', payload: 'x', qos: 1, retain: true })
    // Redis knows the script from here on.
    await subscriber.subscribe(['marker', 0])
    await subscriber.receive(1)
    using watch = await watchRetained()
    await subscriber.subscribe(['nothing/+', 0], ['nothing/here/#', 0], ['nothing/exact', 0])
    // One SUBSCRIBE after the other: the first is over with the second.
    await subscriber.subscribe(['marker', 0])
    expect(await subscriber.receive(1)).toMatchObject([{ topic: 'marker' }])
    const commands = await watch.commands()
    expect(commands.map((words) => [words[0]?.toLowerCase(), words.at(-1)])).toEqual([
      ['evalsha', 'marker'],
      ['hget', 'marker'],
    ])
  })
})

describe('the retained index of a node equals Redis', () => {
  it('after sets and clears of the same topics at two nodes', async () => {
    const topics = Array.from({ length: 30 }, (_, index) => `race/${index}`)
    const rounds = 60
    const work = async (node: TestNode, seed: number): Promise<void> => {
      let acknowledged = 0
      await using flow = await PacketFlow.connect(node, { clientId: unique('p') }, () => {
        acknowledged += 1
      })
      let random = seed
      for (let round = 1; round <= rounds; round += 1) {
        const frames = topics.map((topic, index) => {
          random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
          const payload = (random >>> 16) % 2 === 0 ? 'x' : ''
          return encodePublish({ topic, payload, qos: 1, retain: true, packetId: index + 1 })
        })
        flow.send(...frames)
        await flow.until(() => acknowledged === round * topics.length, `round ${round}`, 20_000)
      }
    }
    for (let seed = 1; seed <= 3; seed += 1) {
      await Promise.all([work(a, seed), work(b, seed + 100), work(b, seed + 200)])
      for (const node of [a, b]) await expectEqual(node)
    }
  })

  it('at a node that starts when many retained messages exist', async () => {
    const topics = Array.from({ length: 20_000 }, (_, index) => `many/${index % 100}/${index}`)
    await storeUntold(topics)
    const c = await join()
    expect(await indexSize(c)).toBe(20_000)
    expect(await replayed(c, 'many/7/+')).toEqual(
      topics.filter((topic) => topic.startsWith('many/7/')).toSorted(),
    )
    expect(await replayed(c, '#')).toHaveLength(20_000)
  })

  it('after the connections that read the log were killed', async () => {
    await using publisher = await connectAt(a, {}, { timeoutMs: 20_000 })
    for (let round = 0; round < 5; round += 1) {
      for (let index = 0; index < 20; index += 1) await change(publisher, round, index)
      await killReaders()
    }
    for (let index = 0; index < 20; index += 1) await change(publisher, 5, index)
    for (const node of [a, b]) await expectEqual(node)
  })

  it('after a part of the log was lost', async () => {
    await using publisher = await connectAt(a)
    for (let index = 0; index < 50; index += 1) await change(publisher, 0, index)
    await storeUntold(['lost/1', 'lost/2'])
    await admin.hdel(retainedKey('kill/0/0'), 'kill/0/0')
    await admin.incr(keysWith(redis.prefix).clusterHead)
    await publisher.publish({ topic: 'next', payload: 'x', qos: 1, retain: true })
    for (const node of [a, b]) {
      await expect.poll(() => indexSize(node), RESYNCED).toBe((await topicsInRedis()).length)
      await expectEqual(node)
    }
  })

  it('after Redis came back empty', async () => {
    await using publisher = await connectAt(a, {}, { timeoutMs: 20_000 })
    for (let index = 0; index < 50; index += 1) await change(publisher, 0, index)
    await admin.flushall()
    for (const node of [a, b]) await expect.poll(() => indexSize(node), RESYNCED).toBe(0)
    for (let index = 0; index < 50; index += 1) await change(publisher, 1, index)
    for (const node of [a, b]) await expectEqual(node)
  })
})

/** Sets some topics, replaces some and clears some. */
async function change(publisher: WireClient, round: number, index: number): Promise<void> {
  const payload = (round + index) % 3 === 0 ? '' : 'x'
  const message = { payload, qos: 1, retain: true } as const
  await publisher.publish({ topic: `kill/0/${index}`, ...message })
  await publisher.publish({ topic: `kill/${round}/${index}`, ...message, payload: 'x' })
}

/** Those that wait in XREAD: of the log, and of the inboxes. */
async function killReaders(): Promise<void> {
  const clients = String(await admin.client('LIST')).split('\n')
  const readers = clients.filter((line) => / cmd=xread /.test(line))
  expect(readers.length).toBeGreaterThanOrEqual(2)
  for (const line of readers) await admin.client('KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
}

/** What touches the retained messages from now on, the commands of scripts included. */
async function watchRetained(): Promise<
  { commands(): Promise<readonly (readonly string[])[]> } & Disposable
> {
  const seen: (readonly string[])[] = []
  const monitor = await monitorRedis(redis.url, ({ words }) => seen.push(words))
  const key = /:retained$/
  return {
    commands: async () => {
      const end = unique('end')
      await admin.echo(end)
      await expect.poll(() => seen.some((command) => command[1] === end)).toBe(true)
      return seen.filter((command) => command.some((word) => key.test(word)))
    },
    [Symbol.dispose]: () => monitor[Symbol.dispose](),
  }
}

it('other nodes find a retained message that a killed node stored and did not announce', async () => {
  const limits = { nodeLeaseMs: 1_000, viewLeaseMs: 400 }
  const settings = { redisUrl: redis.url, redisPrefix: unique('killed:'), limits }
  await using judge = await startNode(settings)
  const doomed = await spawnNode(settings)
  await using subscriber = await connectAt(judge)
  const topic = unique('untold')
  const key = keysWith(settings.redisPrefix).retained(bucketOf(topic, RETAINED_BUCKETS))
  await admin.hset(key, topic, encodeMessage(new Message(topic, Buffer.from('kept'), 1, true)))
  await doomed.kill('SIGKILL')
  await expect.poll(() => indexSize(judge), RESYNCED).toBe(1)
  await subscriber.subscribe([topic, 1])
  expect(await subscriber.receive(1)).toMatchObject([{ topic, retain: true }])
})
