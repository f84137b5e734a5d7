import { expect, it } from 'vitest'
import {
  encodeConnect,
  encodePingreq,
  encodePublish,
  encodeSubscribe,
  frame,
  MQTT_31,
} from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, unique } from './suite.ts'

conformance('CONNECT', {}, (broker) => {
  it('[MQTT-3.1.4-4] [MQTT-3.2.2-3] a valid CONNECT is accepted without a stored session', async () => {
    await using client = await broker.open()
    const connack = await client.connect({ clientId: unique('c') })
    expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 0 })
    await client.expectSilence()
  })

  it('[MQTT-3.1.2-2] a client of MQTT 3.1 (MQIsdp, level 3) is accepted', async () => {
    await using client = await broker.connect({ ...MQTT_31 })
    const topic = unique('t')
    expect(await client.subscribe([topic, 2])).toEqual([2])
    await client.publish({ topic, payload: 'old', qos: 2 })
    const [message] = await client.receive(1)
    expect(message).toMatchObject({ topic, qos: 2, payload: Buffer.from('old') })
  })

  it.each([5, 6, 2, 0, 127])(
    '[MQTT-3.1.2-2] protocol level %i gets return code 0x01, and the connection is closed',
    async (protocolLevel) => {
      await using client = await broker.open()
      const connack = await client.connect({ protocolLevel, clientId: unique('c') })
      expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 1 })
      await client.expectClosed()
    },
  )

  it('[MQTT-3.1.2-2] a CONNECT of an MQTT 5 client gets return code 0x01', async () => {
    await using client = await broker.open()
    // Level 5, clean start, keep-alive 60, session expiry interval as its only property.
    client.send(frame(0x10, Buffer.from('00044d5154540502003c05110000003c00026964', 'hex')))
    expect(await client.expect('connack')).toMatchObject({ returnCode: 1, sessionPresent: false })
    await client.expectClosed()
  })

  it.each([
    ['MQTX', 4],
    ['mqtt', 4],
    ['', 4],
    ['MQIsdp ', 3],
    ['MQTTMQTTMQTT', 4],
  ])(
    '[MQTT-3.1.2-1] the protocol name «%s» of level %i is never accepted',
    async (protocolName, protocolLevel) => {
      await using client = await broker.open()
      client.send(encodeConnect({ protocolName, protocolLevel, clientId: unique('c') }))
      for (const packet of await client.untilClosed()) {
        expect(packet).toMatchObject({ type: 'connack', returnCode: 1 })
      }
    },
  )

  it('[MQTT-3.1.0-2] a second CONNECT closes the connection', async () => {
    await using client = await broker.connect()
    client.send(encodeConnect({ clientId: unique('c') }))
    await client.expectClosed()
  })

  it('[MQTT-3.1.0-2] a second CONNECT right behind the first closes the connection', async () => {
    await using client = await broker.open()
    const clientId = unique('c')
    client.send(encodeConnect({ clientId }), encodeConnect({ clientId }))
    const packets = await client.untilClosed()
    expect(packets.filter((packet) => packet.type === 'connack').length).toBeLessThan(2)
  })

  it('[MQTT-3.2.0-1] the first packet from the server is the CONNACK, also when requests follow the CONNECT at once', async () => {
    await using client = await broker.open()
    const topic = unique('t')
    client.send(
      encodeConnect({ clientId: unique('c') }),
      encodeSubscribe(1, [[topic, 0]]),
      encodePublish({ topic, payload: 'early' }),
      encodePingreq(),
    )
    expect(await client.expect('connack')).toMatchObject({ returnCode: 0 })
    expect(await client.take('suback')).toMatchObject({ packetId: 1, returnCodes: [0] })
    expect(await client.take('publish')).toMatchObject({ topic, payload: Buffer.from('early') })
    await client.take('pingresp')
  })

  it('[MQTT-3.1.4-4] a client need not wait for the CONNACK: 200 publishes right behind the CONNECT are all acknowledged', async () => {
    await using client = await broker.open()
    const topic = unique('t')
    const packetIds = Array.from({ length: 200 }, (_, index) => index + 1)
    client.send(
      encodeConnect({ clientId: unique('c') }),
      ...packetIds.map((packetId) => encodePublish({ topic, qos: 1, packetId })),
    )
    await client.expect('connack')
    const acknowledged: number[] = []
    while (acknowledged.length < packetIds.length) {
      acknowledged.push((await client.expect('puback')).packetId)
    }
    expect(acknowledged).toEqual(packetIds)
  })

  it('[MQTT-3.1.4-5] nothing that follows a refused CONNECT is processed', async () => {
    await using watcher = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using refused = await broker.open()
    refused.send(
      encodeConnect({ clientId: '', clean: false }),
      encodePublish({ topic, payload: 'never' }),
    )
    expect(await refused.expect('connack')).toMatchObject({ returnCode: 2 })
    await refused.expectClosed()
    await expectNothingDelivered(watcher, publisher)
  })

  it('[MQTT-3.1.0-1] PINGREQ, SUBSCRIBE or PUBLISH before CONNECT have no effect', async () => {
    await using watcher = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    for (const first of [
      encodePingreq(),
      encodeSubscribe(1, [[topic, 0]]),
      encodePublish({ topic, payload: 'never' }),
    ]) {
      await using stranger = await broker.open()
      stranger.send(first, encodeConnect({ clientId: unique('c') }))
      await stranger.expectClosed()
    }
    await expectNothingDelivered(watcher, publisher)
  })

  it('[MQTT-3.1.4-1] a CONNECT that arrives byte by byte is accepted', async () => {
    await using client = await broker.open()
    for (const byte of encodeConnect({ clientId: unique('c') })) {
      client.send(Uint8Array.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await client.expect('connack')).toMatchObject({ returnCode: 0 })
  })

  it('[MQTT-3.12.4-1] each PINGREQ is answered with one PINGRESP', async () => {
    await using client = await broker.connect()
    client.send(encodePingreq(), encodePingreq(), encodePingreq())
    for (let count = 0; count < 3; count++) await client.expect('pingresp')
    await client.expectSilence()
  })

  it('[MQTT-3.14.4-1] [MQTT-3.14.4-2] after DISCONNECT the connection ends and no later packet is answered', async () => {
    await using watcher = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect()
    // [MQTT-3.14.4-2] forbids the client to send more; what comes all the same has no effect.
    client.send(Buffer.from([0xe0, 0]), encodePublish({ topic, payload: 'never' }))
    await client.expectClosed()
    await expectNothingDelivered(watcher, publisher)
  })
})
