/** Sessions that move between nodes, with what was missed and what was in flight. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectNothingDelivered, unique } from '../conformance/suite.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePubcomp, encodePublish, encodePubrec, type QoS } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil, startCluster, type Cluster } from './cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster[Symbol.asyncDispose]())

/** A stored session of this cluster with these filters, left at node A. */
async function leaveAtA(...filters: readonly (readonly [string, QoS])[]): Promise<string> {
  const clientId = unique('c')
  await using client = await connectAt(cluster.a, { clientId, clean: false })
  await client.subscribe(...filters)
  await client.disconnect()
  return clientId
}

describe('a client that leaves node A and resumes at node C', () => {
  it('gets the messages that were published at three nodes meanwhile, in order', async () => {
    const topic = unique('t')
    const clientId = await leaveAtA([topic, 2])
    for (const [index, node] of [cluster.a, cluster.b, cluster.c].entries()) {
      await using publisher = await connectAt(node)
      for (let count = 0; count < 20; count++)
        await publisher.publish({ topic, payload: `${index}-${count}`, qos: 1 + (count % 2) })
    }
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    const payloads = (await resumed.receive(60)).map(({ payload }) => payload.toString())
    const expected = [0, 1, 2].flatMap((index) =>
      Array.from({ length: 20 }, (_, count) => `${index}-${count}`),
    )
    expect(payloads).toEqual(expected)
    await resumed.expectSilence()
  })

  it('gets queued messages before the messages that are published while it catches up', async () => {
    const topic = unique('t')
    const clientId = await leaveAtA([topic, 1])
    await using publisher = await connectAt(cluster.b)
    const send = (from: number, to: number): void => {
      for (let index = from; index < to; index++) {
        const packetId = publisher.nextPacketId()
        publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
      }
    }
    send(0, 1_000)
    for (let count = 0; count < 1_000; count++) await publisher.expect('puback')
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    send(1_000, 2_000)
    send(2_000, 2_001)
    const payloads = await receiveUntil(resumed, '2000')
    expect(payloads.map(Number)).toEqual(Array.from({ length: 2_000 }, (_, index) => index))
  })

  it('gets unacknowledged messages again first, with the same packet id and DUP', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using publisher = await connectAt(cluster.b)
    await using first = await connectAt(cluster.a, { clientId, clean: false })
    await first.subscribe([topic, 2])
    for (const qos of [1, 2] as const)
      await publisher.publish({ topic, payload: `in flight ${qos}`, qos })
    const originals = [await first.expect('publish'), await first.expect('publish')]
    await first.drop()
    await cluster.a.logged(
      ({ clientId: id, reason }) => id === clientId && reason === 'connection-lost',
    )
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    const [one, two, missed] = await resumed.receive(3)
    expect([one, two]).toEqual(originals.map((original) => ({ ...original, dup: true })))
    expect(missed).toMatchObject({ payload: Buffer.from('missed'), dup: false })
  })

  it('finishes a QoS 2 message with PUBREL alone after the broker has its PUBREC', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using publisher = await connectAt(cluster.b)
    await using first = await connectAt(cluster.a, { clientId, clean: false })
    await first.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'twice', qos: 2 })
    const { packetId } = await first.expect('publish')
    first.send(encodePubrec(packetId))
    expect(await first.expect('pubrel')).toMatchObject({ packetId })
    await first.drop()
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    expect(await resumed.expect('pubrel')).toMatchObject({ packetId })
    resumed.send(encodePubcomp(packetId))
    await expectNothingDelivered(resumed, publisher)
  })

  it('finishes a QoS 2 publish begun at A, which is delivered once', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using watcher = await connectAt(cluster.b)
    await watcher.subscribe([topic, 2])
    await using first = await connectAt(cluster.a, { clientId, clean: false })
    const publish = { topic, payload: 'exactly once', qos: 2, packetId: 7 }
    first.send(encodePublish(publish))
    await first.expect('pubrec')
    await first.drop()
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    resumed.send(encodePublish({ ...publish, dup: true }))
    await resumed.expect('pubrec')
    resumed.send(Buffer.from([0x62, 2, 0, 7]))
    await resumed.expect('pubcomp')
    resumed.send(Buffer.from([0x62, 2, 0, 7]))
    await resumed.expect('pubcomp')
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('exactly once') }])
    await expectNothingDelivered(watcher, resumed)
  })

  it('keeps its filters at C: live messages arrive, and an UNSUBSCRIBE takes effect at every node', async () => {
    const [kept, dropped] = [unique('kept'), unique('dropped')]
    const clientId = await leaveAtA([kept, 1], [`${dropped}/+`, 1])
    const moved = await connectAt(cluster.c, { clientId, clean: false })
    await using publisher = await connectAt(cluster.b)
    await publisher.publish({ topic: `${dropped}/x`, payload: 'still', qos: 1 })
    expect(await moved.receive(1)).toMatchObject([{ topic: `${dropped}/x` }])
    await moved.unsubscribe(`${dropped}/+`)
    await publisher.publish({ topic: `${dropped}/x`, payload: 'no', qos: 1 })
    await expectNothingDelivered(moved, publisher)
    await moved.disconnect()
    for (const node of [cluster.a, cluster.b, cluster.c]) {
      await using elsewhere = await connectAt(node)
      await elsewhere.publish({ topic: `${dropped}/x`, payload: 'no', qos: 1 })
      await elsewhere.publish({ topic: kept, payload: 'yes', qos: 1 })
    }
    await using back = await connectAt(cluster.a, { clientId, clean: false })
    const received = await back.receive(3)
    expect(received.map(({ topic }) => topic)).toEqual([kept, kept, kept])
    await back.expectSilence()
  })

  it('gets session present 1, also for a session without filters', async () => {
    const clientId = unique('c')
    for (const [node, sessionPresent] of [
      [cluster.a, false],
      [cluster.b, true],
      [cluster.c, true],
    ] as const) {
      await using client = await WireClient.open(node)
      expect(await client.connect({ clientId, clean: false })).toMatchObject({ sessionPresent })
      await client.disconnect()
    }
  })
})

describe('a CONNECT with clean session 1 at another node', () => {
  it.each(['offline', 'connected'])(
    'ends the stored session of a client that was %s: no message arrives',
    async (state) => {
      const topic = unique('t')
      const clientId = unique('c')
      await using before = await connectAt(cluster.a, { clientId, clean: false })
      await before.subscribe([topic, 1])
      if (state === 'offline') await before.disconnect()
      await using publisher = await connectAt(cluster.c)
      if (state === 'offline') await publisher.publish({ topic, payload: 'queued', qos: 1 })
      await using clean = await connectAt(cluster.b, { clientId, clean: true })
      await before.untilClosed()
      await publisher.publish({ topic, payload: 'late', qos: 1 })
      await expectNothingDelivered(clean, publisher)
      await clean.disconnect()
      await publisher.publish({ topic, payload: 'later', qos: 1 })
      await using resumed = await connectAt(cluster.a, { clientId, clean: false })
      await expectNothingDelivered(resumed, publisher)
    },
  )
})

describe('a client id with special characters', () => {
  it.each([
    '__proto__',
    'constructor',
    'toString',
    '🌊 ⚓',
    'a:b{c}*?[d]',
    '{}',
    '%2F',
    'x'.repeat(256),
  ])('works like any other client id: %s', async (clientId) => {
    const topic = unique('t')
    await using publisher = await connectAt(cluster.b)
    await using first = await connectAt(cluster.a, { clientId, clean: false })
    await first.subscribe([topic, 1])
    await first.disconnect()
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    expect(await resumed.receive(1)).toMatchObject([{ payload: Buffer.from('missed') }])
    await using ended = await connectAt(cluster.b, { clientId, clean: true })
    await resumed.untilClosed()
    await ended.expectSilence()
  })
})
