import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader } from '@breakwater/mqtt'
import { firstByteFaults as faultsByLevel } from '@breakwater/mqtt'
import { frame } from '../kit/wire-encoder.ts'

const firstByteFaults = faultsByLevel[4]
const PACKET_BYTES_MAX = 20_000
const FIRST_BYTES = [...firstByteFaults.keys()].filter(
  (byte) => firstByteFaults[byte] === undefined,
)

/** Mostly short; now and then on both sides of where the remaining length takes another byte. */
const bodyBytes = fc.oneof(
  { weight: 8, arbitrary: fc.nat(20) },
  { weight: 1, arbitrary: fc.integer({ min: 120, max: 135 }) },
  { weight: 1, arbitrary: fc.integer({ min: 16_380, max: 16_390 }) },
)
const validFrame = fc
  .tuple(fc.constantFrom(...FIRST_BYTES), bodyBytes, fc.nat(255))
  .map(([firstByte, length, fill]) => frame(firstByte, Buffer.alloc(length, fill)))
const validStream = fc.array(validFrame, { maxLength: 12 })
/** Where to cut, as fractions of the stream; many cuts, so that some fall into headers. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 })

function split(stream: Buffer, fractions: readonly number[]): Buffer[] {
  const places = fractions.map((fraction) => Math.round(fraction * stream.length))
  const ends = [...places.toSorted((a, b) => a - b), stream.length]
  let start = 0
  return ends.map((end) => {
    const chunk = Buffer.from(stream.subarray(start, end))
    start = end
    return chunk
  })
}

/** Of a client that is connected. */
function readerOf(packetBytesMax: number): FrameReader {
  const reader = new FrameReader({ packetBytesMax, connectBytesMax: packetBytesMax })
  reader.connected(4)
  return reader
}

function take(reader: FrameReader): Buffer {
  const { buffer, start, end } = reader
  return Buffer.from(buffer.subarray(start, end))
}

function readAll(reader: FrameReader): Buffer[] {
  const frames: Buffer[] = []
  while (reader.next()) frames.push(take(reader))
  return frames
}

/** The reader without its economies: all bytes in one buffer, one frame at a time. */
function model(bytes: Buffer): { frames: Buffer[]; fault: string | undefined } {
  const frames: Buffer[] = []
  let rest = bytes
  for (;;) {
    const firstByte = rest[0]
    if (firstByte === undefined) return { frames, fault: undefined }
    const fault = firstByteFaults[firstByte]
    if (fault !== undefined) return { frames, fault }
    let length = 0
    let at = 1
    for (; at <= 4; at += 1) {
      const digit = rest[at]
      if (digit === undefined) return { frames, fault: undefined }
      length += (digit & 127) * 128 ** (at - 1)
      if (digit < 128) break
    }
    if (at === 5) return { frames, fault: 'malformed' }
    const whole = 1 + at + length
    if (whole > PACKET_BYTES_MAX) return { frames, fault: 'packet-too-large' }
    if (rest.length < whole) return { frames, fault: undefined }
    frames.push(rest.subarray(0, whole))
    rest = rest.subarray(whole)
  }
}

describe('any valid stream of packets', () => {
  it('yields the same frames however the stream is split', () => {
    fc.assert(
      fc.property(validStream, cuts, (frames, fractions) => {
        const reader = readerOf(PACKET_BYTES_MAX)
        const found: Buffer[] = []
        for (const chunk of split(Buffer.concat(frames), fractions)) {
          reader.push(chunk)
          found.push(...readAll(reader))
        }
        expect(found).toEqual(frames)
        expect(reader.fault).toBeUndefined()
      }),
      { numRuns: 1_000 },
    )
  })

  it('yields the same frames when reading stops between any two frames', () => {
    fc.assert(
      fc.property(
        validStream,
        cuts,
        fc.infiniteStream(fc.nat(3)),
        (frames, fractions, readsPerChunk) => {
          const reader = readerOf(PACKET_BYTES_MAX)
          const found: Buffer[] = []
          for (const chunk of split(Buffer.concat(frames), fractions)) {
            reader.push(chunk)
            const reads = readsPerChunk.next().value ?? 0
            for (let count = 0; count < reads && reader.next(); count += 1) found.push(take(reader))
          }
          found.push(...readAll(reader))
          expect(found).toEqual(frames)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it('is copied only when a frame spans chunks', () => {
    fc.assert(
      fc.property(validStream, cuts, (frames, fractions) => {
        const reader = readerOf(PACKET_BYTES_MAX)
        const chunks = split(Buffer.concat(frames), fractions)
        for (const chunk of chunks) {
          reader.push(chunk)
          let isFirst = true
          while (reader.next()) {
            if (!isFirst) expect(reader.buffer).toBe(chunk)
            isFirst = false
          }
        }
      }),
    )
  })
})

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  // Frames with a byte changed: deeper in than noise comes.
  fc.tuple(validStream, fc.nat(), fc.nat(255)).map(([frames, place, value]) => {
    const bytes = Buffer.concat(frames)
    if (bytes.length > 0) bytes[place % bytes.length] = value
    return bytes
  }),
)

describe('any sequence of bytes', () => {
  it('yields the frames and the fault of the model, however the bytes are split', () => {
    fc.assert(
      fc.property(anyBytes, cuts, (bytes, fractions) => {
        const reader = readerOf(PACKET_BYTES_MAX)
        const found: Buffer[] = []
        for (const chunk of split(Buffer.from(bytes), fractions)) {
          reader.push(chunk)
          found.push(...readAll(reader))
        }
        const { frames, fault } = model(Buffer.from(bytes))
        expect(found).toEqual(frames)
        expect(reader.fault).toBe(fault)
      }),
      { numRuns: 2_000 },
    )
  })

  it('leaves a reader faulty after its first fault, whatever follows', () => {
    fc.assert(
      fc.property(anyBytes, validStream, (bytes, frames) => {
        const reader = readerOf(PACKET_BYTES_MAX)
        reader.push(Buffer.from(bytes))
        readAll(reader)
        const { fault } = reader
        fc.pre(fault !== undefined)
        reader.push(Buffer.concat(frames))
        expect(reader.next()).toBe(false)
        expect(reader.fault).toBe(fault)
      }),
      { numRuns: 500 },
    )
  })

  it('yields no frame larger than packetBytesMax: its header is refused', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FIRST_BYTES),
        fc.integer({ min: 0, max: 268_435_455 }),
        fc.integer({ min: 128, max: 268_435_455 }),
        (firstByte, length, packetBytesMax) => {
          const header = frame(firstByte, Buffer.alloc(0), lengthOf(length))
          const reader = readerOf(packetBytesMax)
          reader.push(header)
          // A frame that is only a header is whole; of all others, not one byte of body has come.
          const isWhole = reader.next()
          const isTooLarge = header.length + length > packetBytesMax
          expect(reader.fault).toBe(isTooLarge ? 'packet-too-large' : undefined)
          expect(isWhole).toBe(length === 0)
        },
      ),
      // A reader takes the memory of a frame when its header has come; this bounds how often.
      { numRuns: 200 },
    )
  })
})

function lengthOf(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.from(bytes)
}
