import { describe, expect, test } from 'vitest'
import { FrameReader } from './frame-reader.ts'

const LARGE = 268_435_460

/** Of a client that is connected. */
function readerOf(packetBytesMax: number): FrameReader {
  const reader = new FrameReader({ packetBytesMax, connectBytesMax: packetBytesMax })
  reader.connected(4)
  return reader
}

function readAll(reader: FrameReader): Buffer[] {
  const frames: Buffer[] = []
  while (reader.next()) frames.push(Buffer.from(reader.buffer.subarray(reader.start, reader.end)))
  return frames
}

/** A PUBLISH frame whose remaining length is written with exactly these bytes. */
function frameOf(lengthBytes: readonly number[], bodyBytes: number): Buffer {
  return Buffer.concat([Buffer.from([0x30, ...lengthBytes]), Buffer.alloc(bodyBytes, 7)])
}

describe('the remaining length of a packet', () => {
  // The ends of each row of table 2.4.
  test.each([
    [[0x00], 0],
    [[0x7f], 127],
    [[0x80, 0x01], 128],
    [[0xff, 0x7f], 16_383],
    [[0x80, 0x80, 0x01], 16_384],
    [[0xff, 0xff, 0x7f], 2_097_151],
    [[0x80, 0x80, 0x80, 0x01], 2_097_152],
  ])('%o is decoded as %i', (lengthBytes, length) => {
    const reader = readerOf(LARGE)
    reader.push(frameOf(lengthBytes, length))
    expect(reader.next()).toBe(true)
    expect(reader.body - reader.start).toBe(1 + lengthBytes.length)
    expect(reader.end - reader.body).toBe(length)
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
  })

  test('is at most 268,435,455, and known before any byte of the body arrives', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
    const bounded = readerOf(LARGE - 1)
    bounded.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
    expect(bounded.next()).toBe(false)
    expect(bounded.fault).toBe('packet-too-large')
  })

  test('is malformed with a fourth byte that announces a fifth, in one chunk or byte by byte', () => {
    const bytes = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff])
    const whole = readerOf(LARGE)
    whole.push(bytes)
    expect(whole.next()).toBe(false)
    expect(whole.fault).toBe('malformed')
    const cut = readerOf(LARGE)
    for (const byte of bytes) {
      expect(cut.fault).toBeUndefined()
      cut.push(Buffer.from([byte]))
      expect(cut.next()).toBe(false)
    }
    expect(cut.fault).toBe('malformed')
  })
})

describe('the frame reader with packetBytesMax', () => {
  const bound = 300
  const header = [0xa9, 0x02]

  test('reads a packet of exactly the bound, header included', () => {
    const reader = readerOf(bound)
    const frame = frameOf(header, 297)
    expect(frame).toHaveLength(bound)
    reader.push(frame)
    expect(readAll(reader)).toEqual([frame])
  })

  test('refuses a packet of one byte more by its header alone', () => {
    const reader = readerOf(bound)
    reader.push(Buffer.from([0x30, 0xaa, 0x02]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBe('packet-too-large')
  })

  test('refuses a too large packet whose header arrives in two pieces', () => {
    const reader = readerOf(bound)
    reader.push(Buffer.from([0x30, 0xaa]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
    reader.push(Buffer.from([0x02]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBe('packet-too-large')
  })
})

describe('the frame reader', () => {
  const first = Buffer.from([0xc0, 0x00])
  const second = Buffer.from([0x40, 0x02, 0x00, 0x09])

  test('returns frames that are complete in a chunk without a copy', () => {
    const reader = readerOf(LARGE)
    const chunk = Buffer.concat([first, second])
    reader.push(chunk)
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toBe(chunk)
    expect([reader.start, reader.body, reader.end]).toEqual([0, 2, 2])
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toBe(chunk)
    expect([reader.start, reader.body, reader.end]).toEqual([2, 4, 6])
  })

  test('copies only the frame that spans two chunks, into a buffer of its length', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.concat([first, second.subarray(0, 3)]))
    expect(readAll(reader)).toEqual([first])
    const rest = Buffer.concat([second.subarray(3), first])
    reader.push(rest)
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toEqual(second)
    expect(reader.buffer.buffer.byteLength).toBe(second.length)
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toBe(rest)
  })

  test('keeps a frame readable when a chunk arrives before the next frame is read', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.concat([second, first]))
    expect(reader.next()).toBe(true)
    reader.push(Buffer.from(second))
    expect(reader.buffer.subarray(reader.start, reader.end)).toEqual(second)
    expect(readAll(reader)).toEqual([first, second])
  })

  test('keeps no reference to a chunk that was read to its end', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.concat([first, second]))
    readAll(reader)
    expect(reader.buffer).toHaveLength(0)
  })
})

describe('the frame reader before CONNECT', () => {
  const connecting = (): FrameReader =>
    new FrameReader({ packetBytesMax: LARGE, connectBytesMax: 1_000 })
  /** A packet of this number of bytes; its body does not matter here. */
  const connect = (bytes: number): Buffer => {
    const length = bytes - 3
    return Buffer.concat([
      Buffer.from([0x10, (length & 127) | 128, length >> 7]),
      Buffer.alloc(length, 7),
    ])
  }

  test('refuses every first byte other than CONNECT before more bytes arrive [MQTT-3.1.0-1]', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const reader = connecting()
      reader.push(Buffer.from([byte]))
      expect(reader.next()).toBe(false)
      const isReserved = byte >> 4 === 0 || byte >> 4 === 15
      const fault = isReserved ? 'malformed' : 'protocol-error'
      expect(reader.fault, `0x${byte.toString(16)}`).toBe(byte >> 4 === 1 ? undefined : fault)
    }
  })

  test('reads a CONNECT of connectBytesMax, and refuses one byte more by its header alone', () => {
    const reader = connecting()
    reader.push(connect(1_000))
    expect(readAll(reader)).toEqual([connect(1_000)])
    const bounded = connecting()
    bounded.push(connect(1_001).subarray(0, 3))
    expect(bounded.next()).toBe(false)
    expect(bounded.fault).toBe('packet-too-large')
    expect(bounded.faultDetail).toBe('a CONNECT of 1001 bytes; connectBytesMax is 1000')
  })

  test('reads a CONNECT in pieces of any size', () => {
    for (const size of [1, 2, 3, 7, 100, 255, 256, 257, 999]) {
      const reader = connecting()
      const whole = connect(1_000)
      for (let at = 0; at < whole.length; at += size) {
        expect(reader.next()).toBe(false)
        reader.push(whole.subarray(at, at + size))
      }
      expect(readAll(reader), `in pieces of ${size}`).toEqual([whole])
    }
  })

  test('applies the bound and the first bytes of other packets once the client is connected', () => {
    const reader = connecting()
    reader.push(Buffer.concat([connect(100), frameOf([0xd0, 0x0f], 2_000)]))
    expect(reader.next()).toBe(true)
    expect(reader.hasMore).toBe(true)
    reader.connected(4)
    expect(reader.next()).toBe(true)
    expect(reader.end - reader.body).toBe(2_000)
    expect(reader.hasMore).toBe(false)
  })
})
