import { expect, it } from 'vitest'
import { encodeConnect, field, frame, MQTT_31 } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

/** MQTT 3.1 has no numbered statements; where 3.1.1 says the same, its numbers stand here. */
conformance('Clients of MQTT 3.1', { stores: STORES }, (broker) => {
  it('[MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-4.4.0-1] an MQTT 3.1 client resumes its session, with queued messages and messages in flight', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect({ ...MQTT_31 })
    await using first = await broker.resume(clientId, MQTT_31)
    expect(await first.subscribe([topic, 2])).toEqual([2])
    await publisher.publish({ topic, payload: 'in flight', qos: 1 })
    const original = await first.expect('publish')
    await first.drop()
    await publisher.publish({ topic, payload: 'queued', qos: 2 })
    await using second = await broker.resume(clientId, MQTT_31)
    const [again, queued] = await second.receive(2)
    expect(again).toMatchObject({ packetId: original.packetId, dup: true })
    expect(queued).toMatchObject({ qos: 2, payload: Buffer.from('queued') })
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.4-2] an MQTT 3.1 client and an MQTT 3.1.1 client with the same client id take over from each other', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId, MQTT_31)
    await first.subscribe([topic, 1])
    await using second = await broker.resume(clientId)
    await first.expectClosed()
    await publisher.publish({ topic, payload: 'second', qos: 1 })
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('second') }])
    await using third = await broker.resume(clientId, MQTT_31)
    await second.expectClosed()
    await publisher.publish({ topic, payload: 'third', qos: 1 })
    expect(await third.receive(1)).toMatchObject([{ payload: Buffer.from('third') }])
  })

  it('[MQTT-3.1.2-8] [MQTT-3.1.2-17] the will of an MQTT 3.1 client is published and retained', async () => {
    const topic = unique('t')
    await using watcher = await broker.connect({ ...MQTT_31 })
    await watcher.subscribe([topic, 1])
    const will = { topic, payload: 'gone', qos: 1, retain: true }
    await using client = await broker.connect({ ...MQTT_31, will })
    await client.drop()
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('gone') }])
    await using later = await broker.connect({ ...MQTT_31 })
    await later.subscribe([topic, 0])
    expect(await later.expect('publish')).toMatchObject({ retain: true })
  })

  it('[MQTT-3.1.0-2] a second CONNECT of an MQTT 3.1 client closes the connection', async () => {
    await using client = await broker.connect({ ...MQTT_31 })
    client.send(encodeConnect({ ...MQTT_31, clientId: unique('c') }))
    await client.expectClosed()
  })

  /** A CONNECT of MQTT 3.1 with these flags, and these fields behind its client id. */
  const connectOf = (firstByte: number, flags: number, ...fields: readonly Buffer[]): Buffer => {
    const head = [field('MQIsdp'), Buffer.from([3, flags, 0, 60]), field(unique('c'))]
    return frame(firstByte, Buffer.concat([...head, ...fields]))
  }

  it.each([
    ['the reserved connect flag', 0x10, 0x03],
    ['a will QoS without a will', 0x10, 0x0a],
    ['a will QoS of 3 without a will', 0x10, 0x1a],
    ['a will RETAIN without a will', 0x10, 0x22],
    ['DUP in the fixed header', 0x18, 0x02],
    ['all flags of the fixed header', 0x1f, 0x02],
    ['the flag of a user name that is missing', 0x10, 0x82],
    ['the flags of a user name and a password that are missing', 0x10, 0xc2],
  ])(
    '[Breakwater] an MQTT 3.1 CONNECT with %s is accepted: MQTT 3.1 ignores that flag',
    async (_what, first, flags) => {
      await using client = await broker.open()
      client.send(connectOf(first, flags))
      expect(await client.expect('connack')).toMatchObject({ returnCode: 0 })
      await client.expectSilence()
      const topic = unique('t')
      await client.subscribe([topic, 1])
      await client.publish({ topic, payload: 'here', qos: 1 })
      expect(await client.receive(1)).toMatchObject([{ payload: Buffer.from('here') }])
    },
  )

  it('[Breakwater] MQTT 3.1 packets are accepted with unused flags set, and with DUP on repeated packets', async () => {
    await using client = await broker.connect({ ...MQTT_31 })
    const topic = unique('t')
    const id = Buffer.from([0, 9])
    // QoS 2 and unused bits beside it; sent again.
    client.send(frame(0x8b, Buffer.concat([id, field(topic), Buffer.from([0xfe])])))
    expect(await client.expect('suback')).toMatchObject({ packetId: 9, returnCodes: [2] })
    client.send(frame(0x3c, Buffer.concat([field(topic), id])))
    await client.expect('pubrec')
    client.send(frame(0x6a, id))
    await client.take('pubcomp')
    const { packetId } = await client.take('publish')
    const received = Buffer.from([packetId >> 8, packetId & 255])
    client.send(frame(0x5f, received))
    await client.expect('pubrel')
    client.send(frame(0x78, received), frame(0xcf, Buffer.alloc(0)))
    await client.expect('pingresp')
    client.send(frame(0xab, Buffer.concat([id, field(topic)])))
    await client.expect('unsuback')
    client.send(frame(0xe5, Buffer.alloc(0)))
    await client.expectClosed()
  })

  it('[MQTT-3-8.3-4] an MQTT 3.1 SUBSCRIBE with QoS 3 closes the connection, also with unused bits set', async () => {
    await using client = await broker.connect({ ...MQTT_31 })
    client.send(
      frame(0x82, Buffer.concat([Buffer.from([0, 9]), field(unique('t')), Buffer.from([0x83])])),
    )
    await client.expectClosed()
  })

  it.each([
    ['MQIsdp', 4],
    ['MQTT', 3],
  ])(
    '[MQTT-3.1.2-2] the protocol name %s with level %i gets return code 0x01 or closes the connection',
    async (protocolName, protocolLevel) => {
      await using client = await broker.open()
      client.send(encodeConnect({ protocolName, protocolLevel, clientId: unique('c') }))
      for (const packet of await client.untilClosed()) {
        expect(packet).toMatchObject({ type: 'connack', returnCode: 1 })
      }
    },
  )
})
