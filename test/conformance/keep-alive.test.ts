import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { encodePingreq, encodePuback, encodePublish } from '../kit/wire-encoder.ts'
import { conformance, STORES, unique } from './suite.ts'

// Time is what is tested here, so these tests wait; they run side by side to wait only once.

conformance('Keep-alive', { stores: STORES }, (broker) => {
  it.concurrent('[MQTT-3.1.2-24] a silent client is closed after one and a half keep-alive intervals; a silent client with keep-alive 0 is not closed', async () => {
    await using unlimited = await broker.connect({ keepAliveSeconds: 0 })
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    const start = performance.now()
    await client.expectClosed()
    // Timers may run a little early.
    expect(performance.now() - start).toBeGreaterThan(1_450)
    await unlimited.expectSilence()
  })

  it.concurrent.each([
    ['PINGREQ', encodePingreq()],
    ['QoS 0 PUBLISH', encodePublish({ topic: unique('t'), payload: 'alive' })],
    ['QoS 1 PUBLISH', encodePublish({ topic: unique('t'), qos: 1, packetId: 1 })],
    ['PUBACK', encodePuback(1)],
  ])(
    '[MQTT-3.1.2-24] a client that sends only %s in time stays connected',
    async (_what, packet) => {
      // Far more often than it has to: a machine that does much else may wake it late.
      await using client = await broker.connect({ keepAliveSeconds: 2 })
      const start = performance.now()
      while (performance.now() - start < 3_200) {
        await delay(200)
        client.send(packet)
      }
      client.send(encodePingreq())
      await client.take('pingresp')
    },
  )

  it.concurrent('[MQTT-3.1.2-24] messages sent to a client do not extend its keep-alive', async () => {
    await using publisher = await broker.connect()
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    const topic = unique('t')
    await client.subscribe([topic, 0])
    while (!client.isClosed) {
      await publisher.publish({ topic, payload: 'tick' })
      await delay(100)
    }
    for (const packet of await client.untilClosed()) expect(packet.type).toBe('publish')
  })

  it.concurrent('[MQTT-3.1.2-24] a client that never finishes a packet is closed: half a packet does not extend the keep-alive', async () => {
    await using client = await broker.connect({ keepAliveSeconds: 1 })
    client.send(encodePublish({ topic: unique('t'), payload: 'unfinished' }).subarray(0, 8))
    await client.expectClosed()
  })

  it.concurrent('[MQTT-3.1.2-24] a session survives when the keep-alive ends its connection', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId, { keepAliveSeconds: 1 })
    await first.subscribe([topic, 1])
    await first.expectClosed()
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('missed') }])
  })
})
