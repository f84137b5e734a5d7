import { expect, it } from 'vitest'
import { encodeConnect, MQTT_31 } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

/** MQTT 3.1 has no numbered statements; where 3.1.1 says the same, its numbers stand here. */
conformance('Clients of MQTT 3.1', { stores: STORES }, (broker) => {
  it('[MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-4.4.0-1] a session is resumed, with its queue and what was in flight', async () => {
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

  it('[MQTT-3.1.4-2] a client of 3.1 and one of 3.1.1 with one client id take over from each other', async () => {
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

  it('[MQTT-3.1.2-8] [MQTT-3.1.2-17] a will is published and retained', async () => {
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

  it('[MQTT-3.1.0-2] a second CONNECT closes the connection', async () => {
    await using client = await broker.connect({ ...MQTT_31 })
    client.send(encodeConnect({ ...MQTT_31, clientId: unique('c') }))
    await client.expectClosed()
  })

  it.each([
    ['MQIsdp', 4],
    ['MQTT', 3],
  ])(
    '[MQTT-3.1.2-2] the protocol name %s does not go with level %i: return code 0x01 or the end',
    async (protocolName, protocolLevel) => {
      await using client = await broker.open()
      client.send(encodeConnect({ protocolName, protocolLevel, clientId: unique('c') }))
      for (const packet of await client.untilClosed()) {
        expect(packet).toMatchObject({ type: 'connack', returnCode: 1 })
      }
    },
  )
})
