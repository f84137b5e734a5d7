/** Published at one node, received at another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectNothingDelivered, unique } from '../conformance/suite.ts'
import { encodePublish, type QoS } from '../kit/wire-encoder.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster({ limits: { topicBytesMax: 65_535 } })
})
afterAll(() => cluster[Symbol.asyncDispose]())

describe('a message published at one node', () => {
  const grid = ([0, 1, 2] as const).flatMap((published) =>
    ([0, 1, 2] as const).map((granted) => [published, granted] as const),
  )
  it.each(grid)(
    'with QoS %i reaches a QoS %i subscriber at another node once, with the lower QoS',
    async (published, granted) => {
      await using subscriber = await connectAt(cluster.b)
      await using publisher = await connectAt(cluster.a)
      const topic = unique('t')
      expect(await subscriber.subscribe([topic, granted])).toEqual([granted])
      await publisher.publish({ topic, payload: 'over', qos: published })
      const [message] = await subscriber.receive(1)
      const qos = Math.min(published, granted) as QoS
      expect(message).toMatchObject({ topic, payload: Buffer.from('over'), qos, retain: false })
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it.each([1, 2] as const)(
    'with QoS %i reaches a stored session that is connected to another node once',
    async (qos) => {
      const clientId = unique('c')
      await using subscriber = await connectAt(cluster.b, { clientId, clean: false })
      await using publisher = await connectAt(cluster.a)
      const topic = unique('t')
      await subscriber.subscribe([topic, qos])
      await publisher.publish({ topic, payload: 'over', qos })
      expect(await subscriber.receive(1)).toMatchObject([{ topic, qos, dup: false }])
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it.each([
    ['+', 'plus'],
    ['#', 'anything/at/all'],
    ['#', 'parent'],
    ['/+', '/'],
    ['dev[1]/+', 'dev[1]/a'],
    ['dev*/+', 'dev*/a'],
    ['dev?/+', 'dev?/a'],
    ['back\\slash/+', 'back\\slash/a'],
    ['h[a-z]llo/#', 'h[a-z]llo/b/c'],
    ['sp ace/+', 'sp ace/a'],
    ['__proto__', '__proto__'],
    ['constructor/+', 'constructor/hasOwnProperty'],
    ['+/toString', '__proto__/toString'],
    ['🌊/+', '🌊/⚓'],
    ['%7B{tag}/+', '%7B{tag}/a'],
  ])('reaches the filter %s at two other nodes', async (filter, topic) => {
    // Two levels below a root of its own: wildcards of other tests, and of this one, stay apart.
    const root = unique('r')
    await using first = await connectAt(cluster.b)
    await using second = await connectAt(cluster.c, { clientId: unique('c'), clean: false })
    await using publisher = await connectAt(cluster.a)
    await first.subscribe([`${root}/${filter}`, 1])
    await second.subscribe([`${root}/${filter}`, 1])
    await publisher.publish({ topic: `${root}/${topic}`, payload: 'over', qos: 1 })
    for (const subscriber of [first, second])
      expect(await subscriber.receive(1)).toMatchObject([{ topic: `${root}/${topic}` }])
  })

  it.each([
    ['dev[1]/+', 'dev1/a'],
    ['dev*/+', 'device/a'],
    ['dev?/+', 'devs/a'],
    ['back\\slash/+', 'backslash/a'],
    ['h[a-z]llo/#', 'hello/b'],
  ])(
    'meets the filter %s as plain text, not as a pattern: topic %s does not match',
    async (filter, topic) => {
      const root = unique('r')
      await using subscriber = await connectAt(cluster.b)
      await using publisher = await connectAt(cluster.a)
      await subscriber.subscribe([`${root}/${filter}`, 1])
      await publisher.publish({ topic: `${root}/${topic}`, payload: 'no', qos: 1 })
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it('under the longest topic and with an awkward payload arrives byte for byte', async () => {
    await using subscriber = await connectAt(cluster.b)
    await using publisher = await connectAt(cluster.a)
    const topic = unique('t').padEnd(65_535, 'x')
    const payload = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256))
    await subscriber.subscribe([topic, 1])
    await publisher.publish({ topic, payload, qos: 1 })
    const [message] = await subscriber.receive(1)
    expect(message?.topicBytes.equals(Buffer.from(topic))).toBe(true)
    expect(message?.payload.equals(payload)).toBe(true)
  })

  it('arrives in the order of its publisher, 300 messages of each QoS', async () => {
    await using subscriber = await connectAt(cluster.b)
    await using publisher = await connectAt(cluster.a)
    const topic = unique('t')
    await subscriber.subscribe([topic, 1])
    const count = 300
    for (let index = 0; index < count; index++) {
      const payload = String(index)
      const packetId = publisher.nextPacketId()
      publisher.send(
        encodePublish({ topic, payload, qos: 0 }),
        encodePublish({ topic, payload, qos: 1, packetId }),
      )
    }
    const received = await subscriber.receive(count * 2)
    for (const qos of [0, 1]) {
      const payloads = received
        .filter((message) => message.qos === qos)
        .map(({ payload }) => Number(payload.toString()))
      expect(payloads).toEqual(Array.from({ length: count }, (_, index) => index))
    }
  })

  it('arrives once at a client whose filters overlap, and also at its publisher', async () => {
    await using subscriber = await connectAt(cluster.b)
    await using publisher = await connectAt(cluster.a)
    const root = unique('r')
    await subscriber.subscribe([`${root}/#`, 0], [`${root}/+`, 1], [`${root}/x`, 1])
    await publisher.subscribe([`${root}/x`, 1])
    await publisher.publish({ topic: `${root}/x`, payload: 'once', qos: 1 })
    expect(await subscriber.receive(1)).toMatchObject([{ qos: 1 }])
    expect(await publisher.receive(1)).toHaveLength(1)
    await expectNothingDelivered(subscriber, publisher)
  })

  it('does not arrive after its filter was unsubscribed at another node', async () => {
    await using subscriber = await connectAt(cluster.b)
    await using publisher = await connectAt(cluster.a)
    const topic = unique('t')
    await subscriber.subscribe([topic, 1])
    await subscriber.unsubscribe(topic)
    await publisher.publish({ topic, payload: 'gone', qos: 1 })
    await expectNothingDelivered(subscriber, publisher)
  })
})

describe('a retained message set at one node', () => {
  it.each([0, 1, 2] as const)(
    'with QoS %i is delivered live at another node with RETAIN 0',
    async (qos) => {
      await using subscriber = await connectAt(cluster.b)
      await using publisher = await connectAt(cluster.a)
      const topic = unique('t')
      await subscriber.subscribe([topic, qos])
      await publisher.publish({ topic, payload: 'kept', qos, retain: true })
      expect(await subscriber.receive(1)).toMatchObject([{ qos, retain: false }])
    },
  )

  it('is replayed at another node, by name and by wildcard, and can be replaced and cleared there', async () => {
    await using publisher = await connectAt(cluster.a)
    await using other = await connectAt(cluster.c)
    const root = unique('r')
    const topic = `${root}/dev[1]`
    await publisher.publish({ topic, payload: 'one', qos: 1, retain: true })
    for (const filter of [topic, `${root}/+`, `${root}/#`]) {
      await using subscriber = await connectAt(cluster.b)
      await subscriber.subscribe([filter, 1])
      expect(await subscriber.receive(1)).toMatchObject([
        { topic, payload: Buffer.from('one'), retain: true, qos: 1 },
      ])
    }
    await other.publish({ topic, payload: 'two', qos: 1, retain: true })
    await using second = await connectAt(cluster.b)
    await second.subscribe([topic, 1])
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('two'), retain: true }])
    await other.publish({ topic, payload: '', qos: 1, retain: true })
    // Live, an empty message is a message like any other [MQTT-3.3.1-9].
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from(''), retain: false }])
    // Replays come in the order of their SUBSCRIBEs: a second one shows that the first had nothing.
    const sentinel = unique('t')
    await other.publish({ topic: sentinel, payload: 'sentinel', qos: 1, retain: true })
    await using third = await connectAt(cluster.a)
    await third.subscribe([topic, 1])
    await third.subscribe([sentinel, 1])
    expect(await third.receive(1)).toMatchObject([{ topic: sentinel }])
  })
})
