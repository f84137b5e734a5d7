import { expect, it } from 'vitest'
import { encodePublish, encodePubrel, type WireText } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

/** Topic endings that code might misinterpret, alter or lose. */
const ENDS: readonly (readonly [string, WireText])[] = [
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['toString', 'toString'],
  ['a space at either end', ' x '],
  ['an emoji', '🦀/🌊'],
  ['the last assigned plane', '\u{10fffd}'],
  ['a byte order mark (U+FEFF)', '\uFEFFx'],
  ['a decomposed accent', 'e\u0301'],
  ['right-to-left text', 'שלום/عالم'],
  ['empty levels', '//'],
  ['a backslash and glob characters', '\\[a-z]*?'],
  ['quotes and braces', `"'{}{tag}`],
  ['colons and a percent sign', 'a:b%2Fc'],
  ['$SYS below the first level', '$SYS/x'],
]

const PAYLOADS: readonly (readonly [string, Buffer])[] = [
  ['no bytes', Buffer.alloc(0)],
  ['one NUL', Buffer.from([0])],
  ['every byte value', Buffer.from(Array.from({ length: 256 }, (_, index) => index))],
  ['bytes that look like packets', Buffer.from('e000c000d000300400016100', 'hex')],
  ['ill-formed UTF-8', Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80, 0xff])],
  ['127 bytes', Buffer.alloc(127, 1)],
  ['16,384 bytes', Buffer.alloc(16_384, 2)],
  ['250,000 bytes', Buffer.alloc(250_000, 3)],
]

conformance('Delivery', { stores: STORES, limits: { topicBytesMax: 65_535 } }, (broker) => {
  it.each(ENDS)(
    '[MQTT-3.3.2-1] [MQTT-4.7.3-4] [MQTT-1.5.3-3] a topic with %s is delivered, retained and queued byte for byte',
    async (_what, end) => {
      const topic = `${unique('t')}/${end.toString()}`
      const clientId = unique('c')
      await using publisher = await broker.connect()
      await using live = await broker.connect()
      await using first = await broker.resume(clientId)
      await live.subscribe([topic, 2])
      await first.subscribe([topic, 2])
      await first.disconnect()
      for (const qos of [0, 1, 2]) {
        await publisher.publish({ topic, payload: `${qos}`, qos, retain: qos === 2 })
      }
      const messages = await live.receive(3)
      for (const message of messages) expect(message.topicBytes).toEqual(Buffer.from(topic))
      await using second = await broker.resume(clientId)
      const queued = await second.receive(2)
      for (const message of queued) expect(message.topicBytes).toEqual(Buffer.from(topic))
      await using later = await broker.connect()
      await later.subscribe([topic, 0])
      expect((await later.expect('publish')).topicBytes).toEqual(Buffer.from(topic))
      await publisher.publish({ topic, qos: 1, retain: true })
    },
  )

  it.each(PAYLOADS)(
    '[MQTT-3.3.4-1] a payload of %s is delivered, retained and queued byte for byte',
    async (_what, payload) => {
      const topic = unique('t')
      const clientId = unique('c')
      await using publisher = await broker.connect()
      await using live = await broker.connect()
      await using first = await broker.resume(clientId)
      await live.subscribe([topic, 2])
      await first.subscribe([topic, 2])
      await first.disconnect()
      for (const qos of [0, 1, 2]) await publisher.publish({ topic, payload, qos, retain: true })
      const messages = await live.receive(3)
      for (const message of messages) expect(message.payload.equals(payload)).toBe(true)
      await using second = await broker.resume(clientId)
      const queued = await second.receive(2)
      for (const message of queued) expect(message.payload.equals(payload)).toBe(true)
      if (payload.length === 0) return
      await using later = await broker.connect()
      await later.subscribe([topic, 0])
      expect((await later.expect('publish')).payload.equals(payload)).toBe(true)
      await publisher.publish({ topic, qos: 1, retain: true })
    },
  )

  it('[MQTT-4.7.3-3] a topic of 65,535 bytes is delivered byte for byte', async () => {
    await using publisher = await broker.connect()
    await using subscriber = await broker.connect()
    const start = unique('t')
    const head = Buffer.from(`${start}/${'é'.repeat(1_000)}`)
    const exact = Buffer.concat([head, Buffer.alloc(65_535 - head.length, 'x')])
    await subscriber.subscribe([`${start}/+`, 2])
    for (const qos of [0, 1, 2]) {
      await publisher.publish({ topic: exact, payload: 'long', qos })
      const [message] = await subscriber.receive(1)
      expect(message?.topicBytes.equals(exact)).toBe(true)
    }
  })

  it.each([0, 1, 2])(
    '[MQTT-4.7.1-1] the first topic levels __proto__ and constructor work like any other (QoS %i)',
    async (qos) => {
      await using publisher = await broker.connect()
      await using subscriber = await broker.connect()
      for (const topic of ['__proto__', 'constructor', '__proto__/x', 'constructor/prototype']) {
        await subscriber.subscribe([topic, qos])
        await publisher.publish({ topic, payload: topic, qos })
        expect(await subscriber.receive(1)).toMatchObject([{ topic }])
        await subscriber.unsubscribe(topic)
        await publisher.publish({ topic, payload: 'never', qos })
      }
      await expectNothingDelivered(subscriber, publisher)
    },
  )

  it.each(['$SYS/broker/version/x', '$SYS/x/y', '$SYS'])(
    '[Breakwater] [MQTT-3.3.5-2] [MQTT-4.7.2-1] a message that a client publishes to %s is acknowledged and delivered to nobody',
    async (topic) => {
      await using subscriber = await broker.connect()
      await using publisher = await broker.connect()
      // Granted or refused: nothing may come.
      await subscriber.subscribe([topic, 2], ['#', 0])
      publisher.send(
        encodePublish({ topic, payload: 'fake' }),
        encodePublish({ topic, payload: 'fake', qos: 1, packetId: 1, retain: true }),
        encodePublish({ topic, payload: 'fake', qos: 2, packetId: 2 }),
      )
      expect(await publisher.next()).toEqual({ type: 'puback', packetId: 1 })
      expect(await publisher.next()).toEqual({ type: 'pubrec', packetId: 2 })
      publisher.send(encodePubrel(2))
      expect(await publisher.next()).toEqual({ type: 'pubcomp', packetId: 2 })
      await subscriber.unsubscribe('#')
      await expectNothingDelivered(subscriber, publisher)
      await using later = await broker.connect()
      await later.subscribe([topic, 0])
      await expectNothingDelivered(later, publisher)
    },
  )

  it('[Breakwater] [MQTT-3.3.5-2] a message that a client publishes to a $SYS topic does not replace the message of the broker', async () => {
    const [topic, fence] = ['$SYS/broker/version', unique('fence')]
    await using publisher = await broker.connect()
    await using before = await broker.connect()
    await before.subscribe([topic, 2], [fence, 0])
    for (const qos of [0, 1, 2])
      await publisher.publish({ topic, payload: 'fake', qos, retain: true })
    await using after = await broker.connect()
    await after.subscribe([topic, 2], [fence, 0])
    await publisher.publish({ topic: fence, qos: 1 })
    for (const subscriber of [before, after]) {
      const payloads: string[] = []
      // What is replayed may come behind what is live.
      for (let isLast = false; !isLast || payloads.length === 0;) {
        const message = await subscriber.take('publish')
        if (message.topic === fence) isLast = true
        else payloads.push(message.payload.toString())
      }
      expect(new Set(payloads)).toEqual(new Set([expect.stringMatching(/ version \d/)]))
    }
  })

  it('[Breakwater] [MQTT-3.3.5-2] a will with a $SYS topic is delivered to nobody', async () => {
    const topic = `$SYS/${unique('t')}`
    await using subscriber = await broker.connect()
    await subscriber.subscribe([topic, 0])
    await using client = await broker.connect({ will: { topic, payload: 'fake' } })
    await client.drop()
    const due = unique('due')
    await subscriber.subscribe([due, 0])
    await using other = await broker.connect({ will: { topic: due, payload: 'due' } })
    await other.drop()
    expect(await subscriber.expect('publish')).toMatchObject({ topic: due })
  })

  it('[Breakwater] [MQTT-4.8.0-1] a PUBLISH to a topic of 101 levels closes the connection', async () => {
    await using client = await broker.connect()
    const topic = [unique('t'), ...Array.from({ length: 100 }, () => 'l')].join('/')
    client.send(encodePublish({ topic, payload: 'deep', qos: 1 }))
    await client.expectClosed()
  })
})
