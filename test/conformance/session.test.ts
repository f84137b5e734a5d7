import { expect, it } from 'vitest'
import { encodePuback, encodePubcomp, encodePublish, encodePubrec } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('Sessions', { stores: STORES }, (broker) => {
  it('[MQTT-3.2.2-1] clean session 1 gets session-present 0, even when a session was stored', async () => {
    const clientId = unique('c')
    await using stored = await broker.resume(clientId)
    await stored.subscribe([unique('t'), 1])
    await stored.disconnect()
    await using client = await broker.open()
    const connack = await client.connect({ clientId, clean: true })
    expect(connack).toMatchObject({ returnCode: 0, sessionPresent: false })
  })

  it('[MQTT-3.2.2-3] the first CONNECT with clean session 0 gets session-present 0', async () => {
    await using client = await broker.open()
    const connack = await client.connect({ clientId: unique('c'), clean: false })
    expect(connack).toMatchObject({ returnCode: 0, sessionPresent: false })
  })

  it('[MQTT-3.2.2-2] a stored session gets session-present 1', async () => {
    const clientId = unique('c')
    await using first = await broker.resume(clientId)
    await first.subscribe([unique('t'), 0])
    await first.disconnect()
    await using second = await broker.open()
    const connack = await second.connect({ clientId, clean: false })
    expect(connack).toMatchObject({ returnCode: 0, sessionPresent: true })
  })

  it('[MQTT-3.2.2-2] a stored session without subscriptions gets session-present 1', async () => {
    const clientId = unique('c')
    await using first = await broker.resume(clientId)
    await first.disconnect()
    await using second = await broker.open()
    expect(await second.connect({ clientId, clean: false })).toMatchObject({ sessionPresent: true })
  })

  it('[MQTT-3.2.2-2] a stored session whose last filter was unsubscribed gets session-present 1', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    await first.unsubscribe(topic)
    await first.disconnect()
    await using second = await broker.open()
    expect(await second.connect({ clientId, clean: false })).toMatchObject({ sessionPresent: true })
  })

  it('[MQTT-3.1.2-6] [MQTT-3.1.4-3] clean session 1 discards the stored session for this and every later connection', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using stored = await broker.resume(clientId)
    await stored.subscribe([topic, 1])
    await stored.disconnect()
    await publisher.publish({ topic, payload: 'queued', qos: 1 })
    await using clean = await broker.connect({ clientId, clean: true })
    await publisher.publish({ topic, payload: 'unsubscribed', qos: 1 })
    await expectNothingDelivered(clean, publisher)
    await clean.disconnect()
    await using later = await broker.open()
    const connack = await later.connect({ clientId, clean: false })
    expect(connack).toMatchObject({ sessionPresent: false })
    await expectNothingDelivered(later, publisher)
  })

  it('[MQTT-3.1.2-6] a clean session leaves nothing that a later connection could resume', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using clean = await broker.connect({ clientId })
    await clean.subscribe([topic, 1])
    await clean.disconnect()
    await publisher.publish({ topic, payload: 'gone', qos: 1 })
    await using later = await broker.open()
    const connack = await later.connect({ clientId, clean: false })
    expect(connack).toMatchObject({ sessionPresent: false })
    await expectNothingDelivered(later, publisher)
  })

  it.each(['DISCONNECT', 'a lost connection'])(
    '[MQTT-3.1.2-4] the subscriptions of a session outlive %s and need no new SUBSCRIBE',
    async (end) => {
      const clientId = unique('c')
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([`${topic}/+/x`, 2])
      await (end === 'DISCONNECT' ? first.disconnect() : first.drop())
      await using second = await broker.resume(clientId)
      await publisher.publish({ topic: `${topic}/y/x`, payload: 'live', qos: 2 })
      const [message] = await second.receive(1)
      expect(message).toMatchObject({ topic: `${topic}/y/x`, qos: 2, dup: false })
    },
  )

  it('[MQTT-3.1.2-5] [MQTT-4.6.0-6] queued QoS 1 and 2 messages are delivered in order on reconnect, each at its QoS', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 2])
    await first.disconnect()
    for (let index = 0; index < 40; index++) {
      await publisher.publish({ topic, payload: `${index}`, qos: 1 + (index % 2) })
    }
    await using second = await broker.resume(clientId)
    const messages = await second.receive(40)
    expect(messages.map(({ qos, payload }) => `${qos}:${payload.toString()}`)).toEqual(
      Array.from({ length: 40 }, (_, index) => `${1 + (index % 2)}:${index}`),
    )
    await expectNothingDelivered(second, publisher)
  })

  it.each([1, 2])(
    '[MQTT-4.6.0-6] queued QoS %i messages are delivered before live messages, whenever the client acknowledges',
    async (qos) => {
      const clientId = unique('c')
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([topic, qos])
      await first.disconnect()
      for (let index = 0; index < 300; index++) {
        await publisher.publish({ topic, payload: `${index}`, qos })
      }
      await using second = await broker.resume(clientId)
      // The first queued message is there and not acknowledged when the live ones are published.
      const head = await second.expect('publish')
      for (let index = 300; index < 320; index++) {
        await publisher.publish({ topic, payload: `${index}`, qos })
      }
      second.send(qos === 1 ? encodePuback(head.packetId) : encodePubrec(head.packetId))
      const payloads = [head.payload.toString()]
      while (payloads.length < 320) {
        const packet = await second.next(`message ${payloads.length}`)
        if (packet.type === 'pubrel') second.send(encodePubcomp(packet.packetId))
        if (packet.type !== 'publish') continue
        payloads.push(packet.payload.toString())
        second.send(qos === 1 ? encodePuback(packet.packetId) : encodePubrec(packet.packetId))
      }
      expect(payloads).toEqual(Array.from({ length: 320 }, (_, index) => `${index}`))
    },
  )

  it('[MQTT-3.1.2-5] a message that was delivered and acknowledged is not delivered on the next resume', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'one', qos: 1 })
    await publisher.publish({ topic, payload: 'two', qos: 2 })
    expect(await first.receive(2)).toHaveLength(2)
    await first.expectSilence()
    await first.disconnect()
    await using second = await broker.resume(clientId)
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.2-4] no message is queued for a filter after UNSUBSCRIBE', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1], [`${topic}/kept`, 1])
    await first.unsubscribe(topic)
    await first.disconnect()
    await publisher.publish({ topic, payload: 'unwanted', qos: 1 })
    await publisher.publish({ topic: `${topic}/kept`, payload: 'wanted', qos: 1 })
    await using second = await broker.resume(clientId)
    const [message] = await second.receive(1)
    expect(message?.payload.toString()).toBe('wanted')
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.2-5] a resumed subscription keeps the QoS that was granted last', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 0])
    await first.subscribe([topic, 1])
    await first.disconnect()
    await publisher.publish({ topic, payload: 'queued', qos: 2 })
    await using second = await broker.resume(clientId)
    await publisher.publish({ topic, payload: 'live', qos: 2 })
    const messages = await second.receive(2)
    expect(messages.map(({ qos, payload }) => [qos, payload.toString()])).toEqual([
      [1, 'queued'],
      [1, 'live'],
    ])
  })

  it('[MQTT-4.1.0-1] two sessions that subscribe to one topic queue and acknowledge independently', async () => {
    const topic = unique('t')
    const clientIds = [unique('c'), unique('c')]
    await using publisher = await broker.connect()
    for (const clientId of clientIds) {
      await using first = await broker.resume(clientId)
      await first.subscribe([topic, 1])
      await first.disconnect()
    }
    publisher.send(encodePublish({ topic, payload: 'both', qos: 1, packetId: 9 }))
    await publisher.expect('puback')
    for (const clientId of clientIds) {
      await using second = await broker.resume(clientId)
      const [message] = await second.receive(1)
      expect(message?.payload.toString()).toBe('both')
      await second.expectSilence()
    }
  })
})
