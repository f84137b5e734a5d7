import { expect, it } from 'vitest'
import {
  encodePuback,
  encodePubcomp,
  encodePublish,
  encodePubrec,
  encodePubrel,
} from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

const LEVELS = [0, 1, 2] as const
const PAIRS = LEVELS.flatMap((published) => LEVELS.map((granted) => [published, granted] as const))
const HUNDRED = Array.from({ length: 100 }, (_, index) => index + 1)

conformance('PUBLISH', { stores: STORES }, (broker) => {
  it.each(PAIRS)(
    '[MQTT-3.8.4-6] [MQTT-2.3.1-5] a QoS %i message for a subscription of QoS %i is delivered at the lower QoS',
    async (published, granted) => {
      await using subscriber = await broker.connect()
      await using publisher = await broker.connect()
      const topic = unique('t')
      await subscriber.subscribe([topic, granted])
      await publisher.publish({ topic, payload: 'x', qos: published })
      const [message] = await subscriber.receive(1)
      expect(message).toMatchObject({
        qos: Math.min(published, granted),
        dup: false,
        retain: false,
        payload: Buffer.from('x'),
      })
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it('[MQTT-3.3.4-1] [MQTT-4.3.2-2] a QoS 1 PUBLISH is acknowledged with a PUBACK of the same packet id', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    for (const packetId of [1, 255, 256, 65_535]) {
      client.send(encodePublish({ topic, qos: 1, packetId }))
      expect(await client.next()).toEqual({ type: 'puback', packetId })
    }
  })

  it('[MQTT-4.3.3-2] [MQTT-2.3.1-6] a QoS 2 PUBLISH is answered with PUBREC and its PUBREL with PUBCOMP, of the same packet id', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    for (const packetId of [1, 256, 65_535]) {
      client.send(encodePublish({ topic, qos: 2, packetId }))
      expect(await client.next()).toEqual({ type: 'pubrec', packetId })
      client.send(encodePubrel(packetId))
      expect(await client.next()).toEqual({ type: 'pubcomp', packetId })
    }
  })

  it('[MQTT-4.3.1-1] a QoS 0 PUBLISH is not acknowledged', async () => {
    await using client = await broker.connect()
    client.send(encodePublish({ topic: unique('t'), payload: 'x' }))
    await client.expectSilence()
  })

  it('[MQTT-3.3.4-1] a message without a subscriber is acknowledged', async () => {
    await using client = await broker.connect()
    await client.publish({ topic: unique('t'), qos: 1 })
    await client.publish({ topic: unique('t'), qos: 2 })
    await client.expectSilence()
  })

  it('[MQTT-4.6.0-2] [MQTT-4.6.0-5] [MQTT-4.6.0-6] 100 QoS 1 messages in one write are acknowledged and delivered in order', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 1])
    publisher.send(
      ...HUNDRED.map((packetId) =>
        encodePublish({ topic, payload: `${packetId}`, qos: 1, packetId }),
      ),
    )
    const acknowledged: number[] = []
    for (const _ of HUNDRED) acknowledged.push((await publisher.expect('puback')).packetId)
    expect(acknowledged).toEqual(HUNDRED)
    const messages = await subscriber.receive(100)
    expect(messages.map(({ payload }) => Number(payload))).toEqual(HUNDRED)
  })

  it('[MQTT-4.6.0-3] [MQTT-4.6.0-6] 100 QoS 2 messages in one write get PUBREC and PUBCOMP and are delivered in order', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    publisher.send(
      ...HUNDRED.map((packetId) =>
        encodePublish({ topic, payload: `${packetId}`, qos: 2, packetId }),
      ),
    )
    const received: number[] = []
    for (const _ of HUNDRED) received.push((await publisher.expect('pubrec')).packetId)
    expect(received).toEqual(HUNDRED)
    publisher.send(...HUNDRED.map((packetId) => encodePubrel(packetId)))
    const completed: number[] = []
    for (const _ of HUNDRED) completed.push((await publisher.expect('pubcomp')).packetId)
    expect(completed).toEqual(HUNDRED)
    const messages = await subscriber.receive(100)
    expect(messages.map(({ payload }) => Number(payload))).toEqual(HUNDRED)
  })

  it('[MQTT-4.6.0-6] 500 QoS 0 messages in one write are delivered in order', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 0])
    const numbers = Array.from({ length: 500 }, (_, index) => index)
    publisher.send(...numbers.map((payload) => encodePublish({ topic, payload: `${payload}` })))
    const messages = await subscriber.receive(500)
    expect(messages.map(({ payload }) => Number(payload))).toEqual(numbers)
  })

  it('[MQTT-4.6.0-4] PUBREL follows PUBREC in the order of the PUBRECs', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    for (const payload of ['a', 'b', 'c']) await publisher.publish({ topic, payload, qos: 2 })
    const packetIds: number[] = []
    for (let count = 0; count < 3; count++) {
      packetIds.push((await subscriber.expect('publish')).packetId)
    }
    subscriber.send(...packetIds.map((packetId) => encodePubrec(packetId)))
    for (const packetId of packetIds) {
      expect(await subscriber.next()).toEqual({ type: 'pubrel', packetId })
    }
    subscriber.send(...packetIds.map((packetId) => encodePubcomp(packetId)))
    await subscriber.expectSilence()
  })

  it('[MQTT-2.3.1-4] [MQTT-4.3.2-1] packet ids of messages in flight to one client are all different and never 0', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    const packetIds = new Set<number>()
    for (let index = 0; index < 20; index++) {
      await publisher.publish({ topic, payload: `${index}`, qos: 1 + (index % 2) })
      packetIds.add((await subscriber.expect('publish')).packetId)
    }
    expect(packetIds.size).toBe(20)
    expect(packetIds.has(0)).toBe(false)
  })

  it('[MQTT-4.3.3-2] a repeated QoS 2 PUBLISH is answered with PUBREC and delivered once', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    const message = { topic, payload: 'once', qos: 2, packetId: 3 }
    publisher.send(encodePublish(message), encodePublish({ ...message, dup: true }))
    expect(await publisher.next()).toEqual({ type: 'pubrec', packetId: 3 })
    expect(await publisher.next()).toEqual({ type: 'pubrec', packetId: 3 })
    publisher.send(encodePublish({ ...message, dup: true }))
    expect(await publisher.next()).toEqual({ type: 'pubrec', packetId: 3 })
    publisher.send(encodePubrel(3), encodePubrel(3))
    expect(await publisher.next()).toEqual({ type: 'pubcomp', packetId: 3 })
    expect(await publisher.next()).toEqual({ type: 'pubcomp', packetId: 3 })
    expect(await subscriber.receive(1)).toHaveLength(1)
    await expectNothingDelivered(subscriber, publisher)
  })

  it('[MQTT-4.3.3-2] after PUBCOMP a PUBLISH with the same packet id is a new message', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    for (const payload of ['one', 'two', 'three']) {
      await publisher.publish({ topic, payload, qos: 2, packetId: 4 })
      expect(await subscriber.receive(1)).toMatchObject([{ payload: Buffer.from(payload) }])
    }
  })

  it('[MQTT-3.3.1-3] DUP of an incoming PUBLISH is not passed on', async () => {
    await using subscriber = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await subscriber.subscribe([topic, 2])
    for (const qos of [1, 2]) {
      await publisher.publish({ topic, payload: `${qos}`, qos, dup: true })
      expect(await subscriber.receive(1)).toMatchObject([{ qos, dup: false }])
    }
  })

  it('[MQTT-2.3.1-4] packet ids of the two directions are independent of each other', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'in', qos: 2 })
    const { packetId } = await client.expect('publish')
    // The client now publishes under the very packet id that the server is using towards it.
    client.send(encodePublish({ topic: unique('t'), qos: 2, packetId }))
    expect(await client.next()).toEqual({ type: 'pubrec', packetId })
    client.send(encodePubrec(packetId))
    expect(await client.next()).toEqual({ type: 'pubrel', packetId })
    client.send(encodePubrel(packetId))
    expect(await client.next()).toEqual({ type: 'pubcomp', packetId })
    client.send(encodePubcomp(packetId))
    await client.expectSilence()
  })

  it('[MQTT-4.3.3-2] PUBREL of an unknown packet id is answered with PUBCOMP', async () => {
    await using client = await broker.connect()
    client.send(encodePubrel(999))
    expect(await client.next()).toEqual({ type: 'pubcomp', packetId: 999 })
  })

  it('[Breakwater] [MQTT-4.3.2-1] PUBACK and PUBCOMP of unknown packet ids are ignored', async () => {
    await using client = await broker.connect()
    client.send(encodePuback(4711), encodePubcomp(4712))
    await client.expectSilence()
  })

  it('[MQTT-4.5.0-1] a message goes to every matching subscriber', async () => {
    await using publisher = await broker.connect()
    const topic = unique('t')
    await using first = await broker.connect()
    await using second = await broker.connect()
    await using third = await broker.connect()
    await first.subscribe([topic, 0])
    await second.subscribe([`${topic}/#`, 1])
    await third.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'all', qos: 2 })
    expect(await first.receive(1)).toMatchObject([{ qos: 0 }])
    expect(await second.receive(1)).toMatchObject([{ qos: 1 }])
    expect(await third.receive(1)).toMatchObject([{ qos: 2 }])
  })

  it('[MQTT-4.5.0-1] a subscriber that never acknowledges delays no other subscriber', async () => {
    await using publisher = await broker.connect()
    await using silent = await broker.connect()
    await using healthy = await broker.connect()
    const topic = unique('t')
    await silent.subscribe([topic, 2])
    await healthy.subscribe([topic, 2])
    for (let index = 0; index < 50; index++) {
      await publisher.publish({ topic, payload: `${index}`, qos: 2 })
    }
    const messages = await healthy.receive(50)
    expect(messages.map(({ payload }) => Number(payload))).toEqual([...HUNDRED.keys()].slice(0, 50))
  })
})
