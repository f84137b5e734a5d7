import { expect, it } from 'vitest'
import {
  encodeConnect,
  encodePingreq,
  encodePublish,
  encodePubrel,
  encodeSubscribe,
  encodeUnsubscribe,
} from '../kit/wire-encoder.ts'
import type { Packet } from '../kit/wire-decoder.ts'
import { conformance, unique } from './suite.ts'

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A stream that has every kind of packet, whose answers are the same however it is cut. */
function streamOf(topic: string): Buffer {
  return Buffer.concat([
    encodeConnect({
      clientId: unique('c'),
      will: { topic: `${topic}/will`, payload: 'w' },
    }),
    encodeSubscribe(1, [
      [`${topic}/a`, 1],
      [`${topic}/b`, 0],
    ]),
    encodePublish({ topic: `${topic}/nobody`, payload: 'x'.repeat(200), qos: 1, packetId: 2 }),
    encodePublish({ topic: `${topic}/nobody`, payload: '', qos: 2, packetId: 3 }),
    encodePubrel(3),
    encodeUnsubscribe(4, [`${topic}/a`]),
    encodePingreq(),
  ])
}

const ANSWERS: readonly Packet[] = [
  { type: 'connack', sessionPresent: false, returnCode: 0 },
  { type: 'suback', packetId: 1, returnCodes: [1, 0] },
  { type: 'puback', packetId: 2 },
  { type: 'pubrec', packetId: 3 },
  { type: 'pubcomp', packetId: 3 },
  { type: 'unsuback', packetId: 4 },
  { type: 'pingresp' },
]

conformance('Framing', {}, (broker) => {
  async function expectAnswers(chunks: readonly Uint8Array[]): Promise<void> {
    await using client = await broker.open()
    for (const chunk of chunks) {
      client.send(chunk)
      await tick()
    }
    const answers: Packet[] = []
    while (answers.length < ANSWERS.length) answers.push(await client.next('an answer'))
    const byType = (packets: readonly Packet[]): string[] =>
      packets.map((packet) => JSON.stringify(packet)).sort()
    expect(byType(answers)).toEqual(byType(ANSWERS))
    expect(answers[0]).toEqual(ANSWERS[0])
    await client.disconnect()
  }

  it('[MQTT-4.2.0-1] a complete conversation in one write is answered completely', async () => {
    await expectAnswers([streamOf(unique('t'))])
  })

  it('[MQTT-4.2.0-1] the same conversation byte by byte is answered the same', async () => {
    await expectAnswers([...streamOf(unique('t'))].map((byte) => Uint8Array.of(byte)))
  })

  it('[MQTT-4.2.0-1] the same conversation cut in two, at every place, is answered the same', async () => {
    const { length } = streamOf(unique('t'))
    for (let cut = 1; cut < length; cut++) {
      const stream = streamOf(unique('t').padEnd(12, '-'))
      await expectAnswers([stream.subarray(0, cut), stream.subarray(cut)])
    }
  })

  it.each([2, 3, 7, 64])(
    '[MQTT-4.2.0-1] the same conversation in pieces of %i bytes is answered the same',
    async (size) => {
      const stream = streamOf(unique('t'))
      const chunks: Uint8Array[] = []
      for (let start = 0; start < stream.length; start += size) {
        chunks.push(stream.subarray(start, start + size))
      }
      await expectAnswers(chunks)
    },
  )

  it.each([0, 1, 127, 128, 16_383, 16_384, 200_000])(
    '[MQTT-3.3.2-1] a PUBLISH with a remaining length around %i is delivered whole',
    async (length) => {
      await using client = await broker.connect()
      const topic = unique('t')
      await client.subscribe([topic, 0])
      const payload = Buffer.alloc(Math.max(0, length - 2 - topic.length), 0xab)
      client.send(encodePublish({ topic, payload }))
      const message = await client.expect('publish')
      expect(message.payload.equals(payload)).toBe(true)
    },
  )

  it('[Breakwater] [MQTT-3.3.2-1] a PUBLISH of packetBytesMax, 262,144 bytes in all, is delivered whole', async () => {
    await using client = await broker.connect()
    const topic = unique('t')
    await client.subscribe([topic, 0])
    const payload = Buffer.alloc(262_144 - 4 - 2 - topic.length, 0xcd)
    const packet = encodePublish({ topic, payload })
    expect(packet.length).toBe(262_144)
    client.send(packet)
    expect((await client.expect('publish')).payload.equals(payload)).toBe(true)
  })

  it('[Breakwater] [MQTT-4.8.0-1] packets before a malformed packet are processed, and packets after it are not', async () => {
    await using watcher = await broker.connect()
    await using client = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    client.send(
      encodePublish({ topic, payload: 'before', qos: 1, packetId: 1 }),
      Buffer.from([0xf0, 0]),
      encodePublish({ topic, payload: 'after', qos: 1, packetId: 2 }),
    )
    const packets = await client.untilClosed()
    expect(packets.filter((packet) => packet.type === 'puback' && packet.packetId === 2)).toEqual(
      [],
    )
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('before') }])
    await watcher.expectSilence()
  })
})
