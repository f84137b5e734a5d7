import { expect, it } from 'vitest'
import { encodeUnsubscribe } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('UNSUBSCRIBE', { stores: STORES }, (broker) => {
  it('[MQTT-3.10.4-4] [MQTT-2.3.1-7] UNSUBACK carries the packet id of its UNSUBSCRIBE', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 0])
    for (const packetId of [1, 256, 65_535]) {
      client.send(encodeUnsubscribe(packetId, [topic]))
      expect(await client.expect('unsuback')).toEqual({ type: 'unsuback', packetId })
    }
  })

  it('[MQTT-3.10.4-5] UNSUBACK is sent also when no filter was subscribed', async () => {
    await using client = await broker.connect()
    client.send(encodeUnsubscribe(7, [unique('t'), `${unique('t')}/#`]))
    expect(await client.expect('unsuback')).toMatchObject({ packetId: 7 })
    await client.expectSilence()
  })

  it('[MQTT-3.10.4-2] after UNSUBACK no message of the filter is delivered', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 1])
    await client.unsubscribe(topic)
    for (const qos of [0, 1, 2]) await publisher.publish({ topic, payload: 'never', qos })
    await expectNothingDelivered(client, publisher)
  })

  it('[MQTT-3.10.4-1] UNSUBSCRIBE compares filters character by character, not by the topics that they match', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([`${topic}/a`, 0])
    await client.unsubscribe(`${topic}/+`, `${topic}/#`, `${topic}/A`, `${topic}/a/`, `/${topic}/a`)
    await client.publish({ topic: `${topic}/a`, payload: 'still' })
    expect(await client.expect('publish')).toMatchObject({ payload: Buffer.from('still') })
  })

  it('[MQTT-3.10.4-6] one UNSUBSCRIBE with several filters ends each of them', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([`${topic}/a`, 0], [`${topic}/b/#`, 1], [`${topic}/c`, 2])
    await client.unsubscribe(`${topic}/a`, `${topic}/unknown`, `${topic}/b/#`)
    for (const end of ['a', 'b/x', 'c']) await client.publish({ topic: `${topic}/${end}` })
    expect(await client.expect('publish')).toMatchObject({ topic: `${topic}/c` })
    await client.expectSilence()
  })

  it('[MQTT-3.10.4-1] an overlapping filter still delivers, at its own QoS', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([`${topic}/#`, 1], [`${topic}/x`, 2])
    await client.unsubscribe(`${topic}/x`)
    await client.publish({ topic: `${topic}/x`, payload: 'x', qos: 2 })
    expect(await client.receive(1)).toMatchObject([{ qos: 1 }])
    await client.expectSilence()
  })

  it('[MQTT-3.10.4-3] a QoS 2 delivery that had begun is completed after UNSUBSCRIBE', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 2])
    await publisher.publish({ topic, payload: 'begun', qos: 2 })
    const { packetId } = await client.expect('publish')
    await client.unsubscribe(topic)
    client.send(Buffer.from([0x50, 2, packetId >> 8, packetId & 0xff]))
    expect(await client.expect('pubrel')).toMatchObject({ packetId })
    client.send(Buffer.from([0x70, 2, packetId >> 8, packetId & 0xff]))
    await client.expectSilence()
  })

  it.each(['$share//x', '$share/g', '$share/g/', '$share/+/x', '$share/#', '$share'])(
    '[Breakwater] the malformed shared subscription %s gets 0x80 in SUBSCRIBE, and UNSUBSCRIBE ends no subscription',
    async (filter) => {
      await using client = await broker.connect()
      expect(await client.subscribe([filter, 1])).toEqual([0x80])
      await client.unsubscribe(filter)
      await client.expectSilence()
    },
  )

  it('[MQTT-3.10.4-2] a subscription can be made again after UNSUBSCRIBE', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    for (let round = 0; round < 3; round++) {
      await client.subscribe([topic, 1])
      await client.publish({ topic, payload: `${round}`, qos: 1 })
      expect(await client.receive(1)).toMatchObject([{ payload: Buffer.from(`${round}`) }])
      await client.unsubscribe(topic)
    }
    await client.publish({ topic, payload: 'never', qos: 1 })
    await client.expectSilence()
  })
})
