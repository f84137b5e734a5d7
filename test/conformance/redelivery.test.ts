import { expect, it } from 'vitest'
import {
  encodePubcomp,
  encodePublish,
  encodePubrec,
  encodePubrel,
  encodePuback,
} from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('Redelivery', { stores: STORES }, (broker) => {
  it.each([1, 2])(
    '[MQTT-4.4.0-1] [MQTT-3.3.1-1] an unacknowledged QoS %i PUBLISH is sent again on reconnect, with its packet id and DUP',
    async (qos) => {
      const clientId = unique('c')
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([topic, qos])
      await publisher.publish({ topic, payload: 'again', qos })
      const original = await first.expect('publish')
      expect(original).toMatchObject({ qos, dup: false })
      await first.drop()
      await using second = await broker.resume(clientId)
      const [repeated] = await second.receive(1)
      expect(repeated).toEqual({ ...original, dup: true })
      await second.drop()
      await using third = await broker.resume(clientId)
      await expectNothingDelivered(third, publisher)
    },
  )

  it('[MQTT-4.4.0-1] [MQTT-4.6.0-1] several unacknowledged messages are sent again in their order, before queued messages', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    for (const payload of ['a', 'b', 'c', 'd']) await publisher.publish({ topic, payload, qos: 1 })
    const originals = [
      await first.expect('publish'),
      await first.expect('publish'),
      await first.expect('publish'),
      await first.expect('publish'),
    ]
    // Only the second one is acknowledged; the fence shows that the server has seen that.
    first.send(encodePuback(originals[1]?.packetId ?? 0))
    await first.expectSilence()
    await first.disconnect()
    for (const payload of ['e', 'f']) await publisher.publish({ topic, payload, qos: 1 })
    await using second = await broker.resume(clientId)
    const messages = await second.receive(5)
    expect(messages.map(({ payload }) => payload.toString())).toEqual(['a', 'c', 'd', 'e', 'f'])
    expect(messages.slice(0, 3).map(({ packetId, dup }) => [packetId, dup])).toEqual(
      [originals[0], originals[2], originals[3]].map((original) => [original?.packetId, true]),
    )
    const packetIds = new Set(messages.map(({ packetId }) => packetId))
    expect(packetIds.size).toBe(5)
  })

  it('[MQTT-4.4.0-1] [MQTT-4.3.3-1] after PUBREC only the PUBREL is sent again, never the PUBLISH', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'once', qos: 2 })
    const { packetId } = await first.expect('publish')
    first.send(encodePubrec(packetId))
    expect(await first.expect('pubrel')).toMatchObject({ packetId })
    await first.drop()
    await using second = await broker.resume(clientId)
    expect(await second.next()).toEqual({ type: 'pubrel', packetId })
    second.send(encodePubcomp(packetId))
    await second.expectSilence()
    await second.disconnect()
    await using third = await broker.resume(clientId)
    await expectNothingDelivered(third, publisher)
  })

  it('[MQTT-3.3.1-1] a clean session gets no message again', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.connect({ clientId })
    await first.subscribe([topic, 1])
    await publisher.publish({ topic, payload: 'lost', qos: 1 })
    await first.expect('publish')
    await first.drop()
    await using second = await broker.connect({ clientId })
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-4.3.3-2] a QoS 2 PUBLISH repeated on a new connection is delivered once', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using subscriber = await broker.connect()
    await subscriber.subscribe([topic, 2])
    await using first = await broker.resume(clientId)
    const message = { topic, payload: 'exactly once', qos: 2, packetId: 77 }
    first.send(encodePublish(message))
    expect(await first.expect('pubrec')).toMatchObject({ packetId: 77 })
    await first.drop()
    await using second = await broker.resume(clientId)
    second.send(encodePublish({ ...message, dup: true }))
    expect(await second.expect('pubrec')).toMatchObject({ packetId: 77 })
    second.send(encodePubrel(77))
    expect(await second.expect('pubcomp')).toMatchObject({ packetId: 77 })
    expect(await subscriber.receive(1)).toHaveLength(1)
    await expectNothingDelivered(subscriber, second)
  })

  it('[MQTT-4.3.3-2] a PUBREL on a new connection completes a QoS 2 exchange of the old connection', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using subscriber = await broker.connect()
    await subscriber.subscribe([topic, 2])
    await using first = await broker.resume(clientId)
    first.send(encodePublish({ topic, payload: 'released', qos: 2, packetId: 5 }))
    await first.expect('pubrec')
    await first.drop()
    await using second = await broker.resume(clientId)
    second.send(encodePubrel(5))
    expect(await second.expect('pubcomp')).toMatchObject({ packetId: 5 })
    const [message] = await subscriber.receive(1)
    expect(message?.payload.toString()).toBe('released')
    // The packet id is free again: the same number is a new message now.
    await second.publish({ topic, payload: 'next', qos: 2, packetId: 5 })
    const [next] = await subscriber.receive(1)
    expect(next?.payload.toString()).toBe('next')
  })

  it('[MQTT-3.1.2-6] clean session 1 forgets a QoS 2 PUBLISH that was never released', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using subscriber = await broker.connect()
    await using first = await broker.resume(clientId)
    first.send(encodePublish({ topic, payload: 'old', qos: 2, packetId: 8 }))
    await first.expect('pubrec')
    await first.drop()
    await subscriber.subscribe([topic, 2])
    await using second = await broker.connect({ clientId, clean: true })
    await second.publish({ topic, payload: 'new', qos: 2, packetId: 8 })
    const [message] = await subscriber.receive(1)
    expect(message?.payload.toString()).toBe('new')
  })
})
