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

describe('remaining length', () => {
  // The ends of each row of table 2.4.
  test.each([
    [[0x00], 0],
    [[0x7f], 127],
    [[0x80, 0x01], 128],
    [[0xff, 0x7f], 16_383],
    [[0x80, 0x80, 0x01], 16_384],
    [[0xff, 0xff, 0x7f], 2_097_151],
    [[0x80, 0x80, 0x80, 0x01], 2_097_152],
  ])('%o is %i', (lengthBytes, length) => {
    const reader = readerOf(LARGE)
    reader.push(frameOf(lengthBytes, length))
    expect(reader.next()).toBe(true)
    expect(reader.body - reader.start).toBe(1 + lengthBytes.length)
    expect(reader.end - reader.body).toBe(length)
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
  })

  test('the largest is 268,435,455, known before any of its body came', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
    const bounded = readerOf(LARGE - 1)
    bounded.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
    expect(bounded.next()).toBe(false)
    expect(bounded.fault).toBe('packet-too-large')
  })

  test('a fourth byte that asks for a fifth is malformed, whole or byte by byte', () => {
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

describe('packetBytesMax', () => {
  const bound = 300
  const header = [0xa9, 0x02]

  test('a packet of exactly the bound is read, header included', () => {
    const reader = readerOf(bound)
    const frame = frameOf(header, 297)
    expect(frame).toHaveLength(bound)
    reader.push(frame)
    expect(readAll(reader)).toEqual([frame])
  })

  test('one byte more is refused by its header alone', () => {
    const reader = readerOf(bound)
    reader.push(Buffer.from([0x30, 0xaa, 0x02]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBe('packet-too-large')
  })

  test('one byte more than packetBytesMax is refused when the header comes in two pieces', () => {
    const reader = readerOf(bound)
    reader.push(Buffer.from([0x30, 0xaa]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBeUndefined()
    reader.push(Buffer.from([0x02]))
    expect(reader.next()).toBe(false)
    expect(reader.fault).toBe('packet-too-large')
  })
})

describe('what is copied', () => {
  const first = Buffer.from([0xc0, 0x00])
  const second = Buffer.from([0x40, 0x02, 0x00, 0x09])

  test('frames that lie whole in a chunk are the chunk itself', () => {
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

  test('only the frame that spans two chunks is collected, in a buffer of its length', () => {
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

  test('a frame stays readable when a chunk comes before the next one is asked for', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.concat([second, first]))
    expect(reader.next()).toBe(true)
    reader.push(Buffer.from(second))
    expect(reader.buffer.subarray(reader.start, reader.end)).toEqual(second)
    expect(readAll(reader)).toEqual([first, second])
  })

  test('nothing is held of a chunk that was read to its end', () => {
    const reader = readerOf(LARGE)
    reader.push(Buffer.concat([first, second]))
    readAll(reader)
    expect(reader.buffer).toHaveLength(0)
  })
})

describe('before CONNECT', () => {
  const connecting = (): FrameReader =>
    new FrameReader({ packetBytesMax: LARGE, connectBytesMax: 1_000 })
  /** Of so many bytes; what is in its body is not looked at here. */
  const connect = (bytes: number): Buffer => {
    const length = bytes - 3
    return Buffer.concat([
      Buffer.from([0x10, (length & 127) | 128, length >> 7]),
      Buffer.alloc(length, 7),
    ])
  }

  test('every first byte other than that of CONNECT is refused before anything else arrives [MQTT-3.1.0-1]', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const reader = connecting()
      reader.push(Buffer.from([byte]))
      expect(reader.next()).toBe(false)
      const isReserved = byte >> 4 === 0 || byte >> 4 === 15
      const fault = isReserved ? 'malformed' : 'protocol-error'
      expect(reader.fault, `0x${byte.toString(16)}`).toBe(byte >> 4 === 1 ? undefined : fault)
    }
  })

  test('a CONNECT of connectBytesMax is read, one byte more is refused by its header alone', () => {
    const reader = connecting()
    reader.push(connect(1_000))
    expect(readAll(reader)).toEqual([connect(1_000)])
    const bounded = connecting()
    bounded.push(connect(1_001).subarray(0, 3))
    expect(bounded.next()).toBe(false)
    expect(bounded.fault).toBe('packet-too-large')
    expect(bounded.faultDetail).toBe('a CONNECT of 1001 bytes; connectBytesMax is 1000')
  })

  test('a CONNECT that comes in pieces of any size is the same', () => {
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

  test('its bound and its first bytes are those of other packets once it is connected', () => {
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
