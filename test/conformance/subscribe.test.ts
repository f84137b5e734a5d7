import { expect, it } from 'vitest'
import { encodePingreq, encodePuback, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('SUBSCRIBE', { stores: STORES }, (broker) => {
  it('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] SUBACK carries the packet id of its SUBSCRIBE', async () => {
    await using client = await broker.connect()
    for (const packetId of [1, 255, 256, 65_535]) {
      client.send(encodeSubscribe(packetId, [[unique('t'), 0]]))
      expect(await client.expect('suback')).toEqual({
        type: 'suback',
        packetId,
        returnCodes: [0],
      })
    }
  })

  it('[MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.8.4-4] SUBACK has one granted QoS per filter, in their order', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    const granted = await client.subscribe(
      [`${topic}/a`, 2],
      [`${topic}/+`, 0],
      [`${topic}/b/#`, 1],
      [`${topic}/c`, 2],
      ['#', 0],
    )
    expect(granted).toEqual([2, 0, 1, 2, 0])
  })

  it('[MQTT-3.8.4-5] a filter that occurs twice in one SUBSCRIBE gets two return codes', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    expect(await client.subscribe([topic, 1], [unique('t'), 0], [topic, 2])).toEqual([1, 0, 2])
    // [MQTT-3.8.4-4]: as if they had come one after the other, so the last one counts.
    await client.publish({ topic, payload: 'x', qos: 2 })
    expect(await client.receive(1)).toMatchObject([{ qos: 2 }])
    await client.expectSilence()
  })

  it('[MQTT-3.8.4-4] one SUBSCRIBE may carry 500 filters', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    const filters = Array.from({ length: 500 }, (_, index) => [`${topic}/${index}`, 1] as const)
    expect(await client.subscribe(...filters)).toEqual(filters.map(() => 1))
    await client.publish({ topic: `${topic}/499`, payload: 'last' })
    expect(await client.expect('publish')).toMatchObject({ payload: Buffer.from('last') })
  })

  it('[MQTT-3.8.4-3] subscribing again replaces the subscription: each message is delivered once, at the new QoS', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    for (const qos of [0, 2, 1]) {
      expect(await client.subscribe([topic, qos])).toEqual([qos])
      await client.publish({ topic, payload: `${qos}`, qos: 2 })
      expect(await client.receive(1)).toMatchObject([{ qos, payload: Buffer.from(`${qos}`) }])
      await client.expectSilence()
    }
  })

  it('[MQTT-3.8.4-3] subscribing again does not interrupt the flow of messages', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 1])
    const payloads: string[] = []
    const frames = Array.from({ length: 100 }, (_, index) =>
      encodePublish({ topic, payload: `${index}`, qos: 1, packetId: index + 1 }),
    )
    for (let round = 0; round < 10; round++) {
      publisher.send(...frames.slice(round * 10, round * 10 + 10))
      client.send(encodeSubscribe(1000 + round, [[topic, 1]]))
      await client.take('suback')
    }
    while (payloads.length < 100) {
      const message = await client.expect('publish')
      client.send(encodePuback(message.packetId))
      payloads.push(message.payload.toString())
    }
    expect(payloads).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`))
  })

  it('[MQTT-3.8.4-1] a subscription is in force when its SUBACK arrives', async () => {
    await using publisher = await broker.connect()
    for (let round = 0; round < 20; round++) {
      await using client = await broker.connect()
      const topic = unique('t')
      await client.subscribe([topic, 0])
      await publisher.publish({ topic, payload: 'now' })
      expect(await client.expect('publish')).toMatchObject({ topic })
    }
  })

  it.each([0, 1, 2])(
    '[MQTT-3.8.4-6] a publish right behind a SUBSCRIBE on the same connection is delivered (QoS %i)',
    async (qos) => {
      await using client = await broker.connect()
      const topic = unique('t')
      client.send(
        encodeSubscribe(1, [[topic, 0]]),
        encodePublish({ topic, payload: 'x', qos }),
        ...(qos === 2 ? [Buffer.from([0x62, 2, 0, 1])] : []),
      )
      expect(await client.take('publish')).toMatchObject({ topic, payload: Buffer.from('x') })
    },
  )

  it('[MQTT-3.3.5-1] overlapping filters of one client deliver at the highest QoS that matches', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([`${topic}/+`, 0], [`${topic}/#`, 2], [`${topic}/x`, 1])
    await publisher.publish({ topic: `${topic}/x`, payload: 'x', qos: 2 })
    await publisher.publish({ topic: `${topic}/last`, payload: 'last', qos: 2 })
    const granted: number[] = []
    for (;;) {
      // Further copies are allowed; Breakwater sends none, as the next test says.
      const message = await client.expect('publish')
      if (message.topic.endsWith('/last')) break
      granted.push(message.qos)
    }
    expect(Math.max(...granted)).toBe(2)
  })

  it('[Breakwater] [MQTT-3.3.5-1] overlapping filters of one client deliver one copy', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const topic = unique('t')
    await client.subscribe([`${topic}/+`, 0])
    await client.subscribe([`${topic}/#`, 2])
    await client.subscribe([`${topic}/x`, 1])
    for (const qos of [0, 1, 2]) {
      await publisher.publish({ topic: `${topic}/x`, payload: `${qos}`, qos })
      expect(await client.receive(1)).toMatchObject([{ qos, payload: Buffer.from(`${qos}`) }])
      await expectNothingDelivered(client, publisher)
    }
  })

  it('[Breakwater] [MQTT-3.3.5-1] overlapping filters of an offline session queue one copy', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([`${topic}/+`, 1], [`${topic}/#`, 2])
    await first.disconnect()
    await publisher.publish({ topic: `${topic}/x`, payload: 'x', qos: 2 })
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ qos: 2 }])
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.3.5-1] a client receives what it publishes itself', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 1])
    await client.publish({ topic, payload: 'echo', qos: 1 })
    expect(await client.receive(1)).toMatchObject([{ topic, payload: Buffer.from('echo') }])
  })

  it('[MQTT-3.8.4-1] every one of 50 SUBSCRIBEs in one write is answered, in order', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    const packetIds = Array.from({ length: 50 }, (_, index) => index + 1)
    client.send(
      ...packetIds.map((packetId) => encodeSubscribe(packetId, [[`${topic}/${packetId}`, 0]])),
      encodePingreq(),
    )
    const answered: number[] = []
    while (answered.length < packetIds.length) answered.push((await client.take('suback')).packetId)
    expect(answered).toEqual(packetIds)
  })
})
