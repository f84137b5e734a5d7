/** Redis is cut off, down, or hangs: no message is acknowledged without being stored, and nodes recover. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePublish, type PublishFields } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil, startCluster, type Cluster } from './cluster.ts'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'

const storeTimeoutMs = 600
const MARKER = 'the end'

let cluster: Cluster
beforeEach(async () => {
  cluster = await startCluster({ limits: { storeTimeoutMs } })
})
afterEach(() => cluster[Symbol.asyncDispose]())

/** A client that is accepted again, however often it has to ask. */
async function connectWhenBack(node: TestNode, clientId: string): Promise<WireClient> {
  for (;;) {
    const client = await WireClient.open(node)
    const { returnCode } = await client.connect({ clientId, clean: false })
    if (returnCode === 0) return client
    await client.untilClosed()
  }
}

/** A fourth node, with a way to Redis of its own. */
async function startAlone({
  redis,
  settings,
}: Cluster): Promise<{ readonly node: TestNode; readonly proxy: RedisProxy } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const proxy = stack.use(await startRedisProxy(redis.url))
  const node = stack.use(await startNode({ ...settings, redisUrl: proxy.url }))
  const resources = stack.move()
  return { node, proxy, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** Publishes, and again on a new connection, until it is acknowledged. */
async function publishWhenBack(node: TestNode, message: PublishFields): Promise<void> {
  for (;;) {
    await using publisher = await connectWhenBack(node, unique('p'))
    publisher.send(encodePublish(message))
    const acknowledged = await publisher.take('puback').catch(() => undefined)
    if (acknowledged !== undefined) return
  }
}

/** Subscribes, and sees the replay of retained messages through, which needs Redis. */
async function subscribeLive(client: WireClient, topic: string): Promise<void> {
  const sentinel = unique('sentinel')
  await client.publish({ topic: sentinel, payload: 'last', qos: 1, retain: true })
  await client.subscribe([topic, 1])
  await client.subscribe([sentinel, 1])
  expect(await client.receive(1)).toMatchObject([{ topic: sentinel }])
}

it('cutting the connections to Redis loses no acknowledged message, neither queued nor live', async () => {
  const topic = unique('t')
  const [offline, connected] = [unique('off'), unique('on')]
  for (const clientId of [offline, connected]) {
    await using client = await connectAt(cluster.c, { clientId, clean: false })
    await client.subscribe([topic, 1])
    await client.disconnect()
  }
  await using subscriber = await connectAt(cluster.b, { clientId: connected, clean: false })
  const live = receiveUntil(subscriber, MARKER)
  await using publisher = await connectAt(cluster.a)
  const count = 600
  for (let sent = 0; sent < count; sent += 50) {
    for (let index = sent; index < sent + 50; index++) {
      const packetId = publisher.nextPacketId()
      publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
    }
    if (sent % 200 === 100) cluster.proxy.cut()
    for (let index = sent; index < sent + 50; index++) await publisher.expect('puback')
  }
  await publisher.publish({ topic, payload: MARKER, qos: 1 })
  const expected = Array.from({ length: count }, (_, index) => index)
  const inOrder = (payloads: string[]): number[] => [...new Set(payloads.map(Number))]
  expect(inOrder(await live)).toEqual(expected)
  await using resumed = await connectAt(cluster.b, { clientId: offline, clean: false })
  expect(inOrder(await receiveUntil(resumed, MARKER))).toEqual(expected)
})

describe('a node that was cut off alone', () => {
  it('delivers the messages that were queued for its clients meanwhile', async () => {
    await using alone = await startAlone(cluster)
    const topic = unique('t')
    const session = { clientId: unique('c'), clean: false }
    await using subscriber = await connectAt(alone.node, session)
    await subscriber.subscribe([topic, 1])
    await using publisher = await connectAt(cluster.a)
    await alone.proxy.refuse()
    await publisher.publish({ topic, payload: 'meanwhile', qos: 1 })
    await subscriber.expectSilence()
    await alone.proxy.restore()
    expect(await subscriber.receive(1)).toMatchObject([{ payload: Buffer.from('meanwhile') }])
  })

  it('closes a client whose client id connected elsewhere meanwhile', async () => {
    await using alone = await startAlone(cluster)
    const clientId = unique('c')
    await using first = await connectAt(alone.node, { clientId })
    await alone.proxy.refuse()
    await using second = await connectAt(cluster.b, { clientId })
    await first.expectSilence()
    await alone.proxy.restore()
    expect(await first.untilClosed()).toEqual([])
    expect(alone.node.closeReasons()).toEqual(['taken-over'])
    await second.expectSilence()
  })

  it('knows the filters that were subscribed meanwhile', async () => {
    await using alone = await startAlone(cluster)
    const topic = unique('t')
    const session = { clientId: unique('c'), clean: false }
    await using subscriber = await connectAt(cluster.b, session, { timeoutMs: 10_000 })
    await alone.proxy.refuse()
    await subscriber.subscribe([topic, 1])
    await alone.proxy.restore()
    let known = false
    const arrived = subscriber.take('publish').then(() => (known = true))
    while (!known) await publishWhenBack(alone.node, { topic, qos: 1 })
    await arrived
  })
})

it('a CONNECT is answered before its deadline, however long a publish waits for Redis', async () => {
  const limits = { connectTimeoutMs: 1_000 }
  await using patient = await startNode({ ...cluster.settings, limits })
  cluster.proxy.stall()
  await using client = await WireClient.open(patient)
  expect(await client.connect({ clientId: unique('c') })).toMatchObject({ returnCode: 3 })
  await client.expectClosed()
  expect(patient.closeReasons()).toEqual(['store-unavailable'])
  await cluster.proxy.restore()
})

describe.each(['refuses connections', 'hangs'] as const)('while Redis %s', (how) => {
  const lose = async (): Promise<void> => {
    if (how === 'hangs') cluster.proxy.stall()
    else await cluster.proxy.refuse()
  }

  it('a QoS 1 publish is not acknowledged: its connection ends with store-unavailable', async () => {
    await using publisher = await connectAt(cluster.a)
    await publisher.publish({ topic: unique('t'), qos: 1 })
    await lose()
    const startedAt = performance.now()
    publisher.send(encodePublish({ topic: unique('t'), qos: 1, packetId: 9, retain: true }))
    expect(await publisher.untilClosed()).toEqual([])
    expect(performance.now() - startedAt).toBeGreaterThan(storeTimeoutMs * 0.9)
    expect(cluster.a.closeReasons()).toEqual(['store-unavailable'])
  })

  it('a CONNECT gets return code 0x03', async () => {
    await lose()
    for (const clean of [true, false]) {
      await using client = await WireClient.open(cluster.a)
      const connack = await client.connect({ clientId: unique('c'), clean })
      expect(connack).toMatchObject({ returnCode: 3, sessionPresent: false })
      await client.expectClosed()
    }
    expect(cluster.a.closeReasons()).toEqual(['store-unavailable', 'store-unavailable'])
  })

  it('QoS 0 messages between clients of one node are delivered without delay', async () => {
    await using subscriber = await connectAt(cluster.a, {}, { timeoutMs: storeTimeoutMs / 2 })
    await using publisher = await connectAt(cluster.a)
    const topic = unique('t')
    await subscribeLive(subscriber, topic)
    await lose()
    for (let count = 0; count < 10; count++) {
      await publisher.publish({ topic, payload: String(count), qos: 0 })
      expect(await subscriber.receive(1)).toMatchObject([{ payload: Buffer.from(String(count)) }])
    }
    await publisher.expectSilence()
  })

  it('publishes and sessions work again without a restart of the node afterwards', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    const before = await connectAt(cluster.b, { clientId, clean: false })
    await before.subscribe([topic, 1])
    await before.disconnect()
    await using staying = await connectAt(cluster.c)
    await subscribeLive(staying, topic)
    await lose()
    await using refused = await WireClient.open(cluster.a)
    expect(await refused.connect({ clientId: unique('c') })).toMatchObject({ returnCode: 3 })
    await cluster.proxy.restore()
    // Each connection of a node comes back in its own time; until all are there a publish is refused.
    await publishWhenBack(cluster.a, { topic, payload: 'back', qos: 1 })
    await using resumed = await connectWhenBack(cluster.b, clientId)
    expect(await resumed.receive(1)).toMatchObject([{ payload: Buffer.from('back') }])
    // A clean session misses what is published before its node listens again; then it hears all.
    let live = false
    const arrived = staying.take('publish').then(() => (live = true))
    while (!live) await publishWhenBack(cluster.a, { topic, payload: 'live', qos: 1 })
    await arrived
    const page = await fetch(`http://127.0.0.1:${cluster.a.adminPort}/readyz`)
    expect(page.status).toBe(200)
  })
})
