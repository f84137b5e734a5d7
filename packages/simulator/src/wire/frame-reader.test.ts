import { describe, expect, test } from 'vitest'
import { seededRandom } from '../load/random.ts'
import { encodeAcknowledgement, encodePublish, PINGREQ } from './encoder.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { PacketType, WireError } from './packet.ts'

class Collected implements FrameSink {
  readonly frames: string[] = []

  onFrame(firstByte: number, bytes: Buffer, start: number, end: number): void {
    this.frames.push(`${firstByte.toString(16)}:${bytes.toString('hex', start, end)}`)
  }
}

const publish = (payloadBytes: number): Buffer =>
  encodePublish({ topic: 'a/b', payload: Buffer.alloc(payloadBytes, 7), qos: 1, packetId: 513 })

// One-, two- and three-byte lengths, empty bodies, and a frame that outgrows a small carry buffer.
const FRAMES = [
  PINGREQ,
  encodeAcknowledgement(PacketType.puback, 0x1234),
  publish(0),
  publish(118), // remaining length 125
  publish(121), // remaining length 128: the second byte of the length
  PINGREQ,
  publish(300),
]
const STREAM = Buffer.concat(FRAMES)
const BODIES = FRAMES.map((frame) => {
  const headerBytes = frame.length < 2 + 128 ? 2 : 3
  return `${frame.toString('hex', 0, 1)}:${frame.toString('hex', headerBytes)}`
})

/** Feeds a stream as the sockets do: every chunk in the same buffer, overwritten by the next. */
const feed = (stream: Buffer, cuts: readonly number[]): string[] => {
  const shared = Buffer.alloc(stream.length)
  const reader = new FrameReader()
  const sink = new Collected()
  let from = 0
  for (const to of [...cuts, stream.length]) {
    shared.fill(0xff)
    stream.copy(shared, 0, from, to)
    reader.push(shared, to - from, sink)
    from = to
  }
  return sink.frames
}

describe('the frame reader of the simulator', () => {
  test('finds all frames in one chunk', () => {
    expect(feed(STREAM, [])).toEqual(BODIES)
  })

  test('finds the same frames however the stream is split in two', () => {
    for (let cut = 1; cut < STREAM.length; cut++) expect(feed(STREAM, [cut])).toEqual(BODIES)
  })

  test('finds the same frames byte by byte', () => {
    const cuts = Array.from({ length: STREAM.length - 1 }, (_, at) => at + 1)
    expect(feed(STREAM, cuts)).toEqual(BODIES)
  })

  test('finds the same frames in random pieces', () => {
    const random = seededRandom(5)
    for (let round = 0; round < 200; round++) {
      const cuts = Array.from({ length: STREAM.length - 1 }, (_, at) => at + 1)
      expect(
        feed(
          STREAM,
          cuts.filter(() => random() < 0.05),
        ),
      ).toEqual(BODIES)
    }
  })

  test('reads a frame larger than many chunks', () => {
    const large = publish(200_000)
    const cuts = Array.from({ length: 20 }, (_, n) => (n + 1) * 10_000)
    const frames = feed(Buffer.concat([large, PINGREQ]), cuts)
    expect(frames).toHaveLength(2)
    expect(frames[0]).toHaveLength(3 + 2 * (large.length - 4))
  })

  test('refuses a fifth length byte as malformed [MQTT-2.2.3]', () => {
    const stream = Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)
    expect(() => feed(stream, [])).toThrow(WireError)
    for (let cut = 1; cut < stream.length; cut++)
      expect(() => feed(stream, [cut])).toThrow(WireError)
  })

  test('refuses a frame above the bound before its body arrives', () => {
    const reader = new FrameReader(100)
    const header = Buffer.of(0x30, 0x80, 0x01)
    expect(() => reader.push(header, header.length, new Collected())).toThrow(/131 bytes/)
  })

  test('fails in no other way, whatever bytes arrive', () => {
    const random = seededRandom(9)
    for (let round = 0; round < 2000; round++) {
      const noise = Buffer.from(Array.from({ length: 40 }, () => Math.floor(random() * 256)))
      try {
        feed(noise, [Math.floor(random() * 39) + 1])
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }
  })
})
