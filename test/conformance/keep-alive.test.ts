import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { encodePingreq, encodePuback, encodePublish } from '../kit/wire-encoder.ts'
import { conformance, STORES, unique } from './suite.ts'

// Time is what is tested here, so these tests wait; they run side by side to wait only once.
const CLOSED_WITHIN_MS = 3_500

conformance('Keep-alive', { stores: STORES }, (broker) => {
  it.concurrent('[MQTT-3.1.2-24] a client that is silent is closed after one and a half intervals, and one with keep-alive 0 is not', async () => {
    await using unlimited = await broker.connect({ keepAliveSeconds: 0 })
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    const start = performance.now()
    await client.expectClosed(CLOSED_WITHIN_MS)
    // Timers may run a little early.
    expect(performance.now() - start).toBeGreaterThan(1_450)
    await unlimited.expectSilence()
  })

  it.concurrent.each([
    ['PINGREQ', encodePingreq()],
    ['QoS 0 PUBLISH', encodePublish({ topic: unique('t'), payload: 'alive' })],
    ['QoS 1 PUBLISH', encodePublish({ topic: unique('t'), qos: 1, packetId: 1 })],
    ['PUBACK', encodePuback(1)],
  ])('[MQTT-3.1.2-24] a client that sends only %s in time stays', async (_what, packet) => {
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    for (let count = 0; count < 6; count++) {
      await delay(500)
      client.send(packet)
    }
    client.send(encodePingreq())
    await client.take('pingresp')
  })

  it.concurrent('[MQTT-3.1.2-24] what is sent to a client does not keep it alive', async () => {
    await using publisher = await broker.connect()
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    const topic = unique('t')
    await client.subscribe([topic, 0])
    const start = performance.now()
    while (!client.isClosed && performance.now() - start < CLOSED_WITHIN_MS) {
      await publisher.publish({ topic, payload: 'tick' })
      await delay(100)
    }
    expect(client.isClosed).toBe(true)
    for (const packet of await client.untilClosed()) expect(packet.type).toBe('publish')
  })

  it.concurrent('[MQTT-3.1.2-24] half a packet is no packet: a client that never finishes one is closed', async () => {
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    client.send(encodePublish({ topic: unique('t'), payload: 'unfinished' }).subarray(0, 8))
    await client.expectClosed(CLOSED_WITHIN_MS)
  })

  it.concurrent('[MQTT-3.1.2-24] a session outlives the connection that its keep-alive ended', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId, { keepAliveSeconds: 1 })
    await first.subscribe([topic, 1])
    await first.expectClosed(CLOSED_WITHIN_MS)
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('missed') }])
  })
})
