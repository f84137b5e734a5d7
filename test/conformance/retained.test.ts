import { expect, it } from 'vitest'
import { encodePuback, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { conformance, effective, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('Retained messages', { stores: STORES }, (broker) => {
  it.each([0, 1, 2])(
    '[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] a new subscription gets a message retained at QoS %i with RETAIN 1',
    async (qos) => {
      await using publisher = await broker.connect()
      const topic = unique('t')
      const payload = Buffer.from([0, 1, 0xff, 0xfe])
      await publisher.publish({ topic, payload, qos, retain: true })
      await effective(publisher)
      await using subscriber = await broker.connect()
      await subscriber.subscribe([topic, 2])
      expect(await subscriber.receive(1)).toMatchObject([
        { topic, payload, qos, retain: true, dup: false },
      ])
      await subscriber.expectSilence()
    },
  )

  it('[MQTT-3.3.1-6] the retained message follows the SUBACK', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
    client.send(encodeSubscribe(9, [[topic, 0]]))
    expect(await client.next()).toMatchObject({ type: 'suback', packetId: 9 })
    expect(await client.next()).toMatchObject({ type: 'publish', retain: true })
  })

  it.each([
    [2, 0],
    [2, 1],
    [1, 0],
    [0, 2],
  ])(
    '[MQTT-3.8.4-6] a message retained at QoS %i is replayed to a subscription of QoS %i at the lower QoS',
    async (published, granted) => {
      await using client = await broker.connect()
      const topic = unique('t')
      await client.publish({ topic, payload: 'kept', qos: published, retain: true })
      await client.subscribe([topic, granted])
      expect(await client.receive(1)).toMatchObject([{ qos: Math.min(published, granted) }])
    },
  )

  it('[MQTT-3.3.1-5] [MQTT-3.3.1-7] a retained message replaces the earlier retained message of its topic, at any QoS', async () => {
    await using publisher = await broker.connect()
    const topic = unique('t')
    for (const qos of [1, 0, 2, 0]) {
      await publisher.publish({ topic, payload: `at ${qos}`, qos, retain: true })
      await effective(publisher)
      await using subscriber = await broker.connect()
      await subscriber.subscribe([topic, 2])
      expect(await subscriber.receive(1)).toMatchObject([
        { qos, payload: Buffer.from(`at ${qos}`) },
      ])
      await subscriber.expectSilence()
    }
  })

  it('[MQTT-3.3.1-12] a message with RETAIN 0 neither replaces nor removes the retained message', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await client.publish({ topic, payload: 'passing', qos: 1 })
    await client.publish({ topic, payload: '', qos: 1 })
    await client.subscribe([topic, 1])
    expect(await client.receive(1)).toMatchObject([{ payload: Buffer.from('kept') }])
    await client.expectSilence()
  })

  it.each([0, 1, 2])(
    '[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty retained payload (QoS %i) removes the retained message and is not kept',
    async (qos) => {
      await using client = await broker.connect()
      const topic = unique('t')
      await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
      await client.publish({ topic, payload: '', qos, retain: true })
      await client.expectSilence()
      await client.subscribe([topic, 1], [`${topic}/#`, 1])
      await client.expectSilence()
    },
  )

  it('[MQTT-3.3.1-10] an empty retained payload is delivered to existing subscribers with RETAIN 0', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 1])
    await client.publish({ topic, payload: '', qos: 1, retain: true })
    expect(await client.receive(1)).toMatchObject([{ payload: Buffer.alloc(0), retain: false }])
  })

  it.each([0, 1, 2])(
    '[MQTT-3.3.1-9] a retained message (QoS %i) is delivered live to existing subscribers with RETAIN 0',
    async (qos) => {
      await using subscriber = await broker.connect()
      await using publisher = await broker.connect()
      const topic = unique('t')
      await subscriber.subscribe([topic, qos])
      await publisher.publish({ topic, payload: 'live', qos, retain: true })
      expect(await subscriber.receive(1)).toMatchObject([{ retain: false, qos }])
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it('[MQTT-3.3.1-6] a wildcard subscription gets every matching retained message once', async () => {
    await using client = await broker.connect()
    const start = unique('t')
    const topics = ['', '/a', '/a/b', '/a/c', '/x', '/x/b', '//', '/[z]*?', '/\\'].map(
      (end) => `${start}${end}`,
    )
    for (const topic of topics) {
      await client.publish({ topic, payload: topic, qos: 1, retain: true })
    }
    await client.publish({ topic: `${start}x`, payload: 'another', qos: 1, retain: true })
    await expectReplay(`${start}/#`, topics)
    await expectReplay(
      `${start}/+`,
      ['/a', '/x', '/[z]*?', '/\\'].map((end) => `${start}${end}`),
    )
    await expectReplay(`${start}/+/b`, [`${start}/a/b`, `${start}/x/b`])
    await expectReplay(`${start}/a/#`, [`${start}/a`, `${start}/a/b`, `${start}/a/c`])
    await expectReplay(`${start}/[z]*?/#`, [`${start}/[z]*?`])
    await expectReplay(`${start}/nothing/#`, [])
    for (const topic of [...topics, `${start}x`]) {
      await client.publish({ topic, qos: 1, retain: true })
    }

    async function expectReplay(filter: string, expected: readonly string[]): Promise<void> {
      await using subscriber = await broker.connect()
      await subscriber.subscribe([filter, 0])
      const messages = await subscriber.receive(expected.length)
      expect(messages.map(({ topic }) => topic).sort()).toEqual([...expected].sort())
      expect(messages.every(({ retain }) => retain)).toBe(true)
      await expectNothingDelivered(subscriber, client)
    }
  })

  it('[MQTT-4.7.2-1] filters that start with a wildcard replay no topic that starts with $', async () => {
    await using client = await broker.connect()
    const level = unique('level')
    await client.publish({ topic: `$x/${level}`, payload: 'hidden', qos: 1, retain: true })
    await client.publish({ topic: `x/${level}`, payload: 'shown', qos: 1, retain: true })
    await client.subscribe([`+/${level}`, 0])
    expect(await client.expect('publish')).toMatchObject({ topic: `x/${level}` })
    await client.expectSilence()
    await client.subscribe([`$x/${level}`, 0])
    expect(await client.expect('publish')).toMatchObject({ topic: `$x/${level}`, retain: true })
    await client.publish({ topic: `$x/${level}`, qos: 1, retain: true })
    await client.publish({ topic: `x/${level}`, qos: 1, retain: true })
  })

  it('[MQTT-3.8.4-3] subscribing again sends the retained message again', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
    for (let round = 0; round < 3; round++) {
      await client.subscribe([topic, 1])
      expect(await client.receive(1)).toMatchObject([{ retain: true }])
      await client.expectSilence()
    }
  })

  it('[MQTT-3.3.1-6] a resumed session gets no retained messages replayed', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    expect(await first.receive(1)).toMatchObject([{ retain: true }])
    await first.expectSilence()
    await first.disconnect()
    await using second = await broker.resume(clientId)
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.3.1-9] a retained message that was queued for a session is delivered with RETAIN 0', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    await first.disconnect()
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ retain: false }])
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.2-7] retained messages outlive the session that published them', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect({ clientId })
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await publisher.disconnect()
    await using again = await broker.connect({ clientId, clean: true })
    await again.subscribe([topic, 0])
    expect(await again.expect('publish')).toMatchObject({ retain: true })
  })

  it('[MQTT-3.3.1-6] a SUBSCRIBE right behind a retained PUBLISH in one write gets that message', async () => {
    for (let round = 0; round < 10; round++) {
      await using client = await broker.connect()
      const topic = unique('t')
      client.send(
        encodePublish({ topic, payload: `${round}`, qos: 1, packetId: 1, retain: true }),
        encodeSubscribe(2, [[topic, 1]]),
      )
      const message = await client.take('publish')
      expect(message).toMatchObject({ retain: true, payload: Buffer.from(`${round}`) })
      client.send(encodePuback(message.packetId))
      await client.take('puback')
      await client.take('suback')
      await client.expectSilence()
    }
  })

  it('[MQTT-4.4.0-1] an unacknowledged retained QoS 1 message is sent again on reconnect', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    const original = await first.expect('publish')
    await first.drop()
    await using second = await broker.resume(clientId)
    const [again] = await second.receive(1)
    expect(again).toMatchObject({ topic, packetId: original.packetId, dup: true, retain: true })
  })
})
