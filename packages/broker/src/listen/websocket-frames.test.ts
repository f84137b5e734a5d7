import { describe, expect, test } from 'vitest'
import { frameHead, framePackets } from './websocket-frames.ts'

const PING = Buffer.of(0xd0, 0)

/** A PUBLISH whose remaining length is this. */
function packet(remaining: number): Buffer {
  const head = [0x30]
  for (let rest = remaining; ; rest >>= 7) {
    head.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest < 128) break
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(remaining, remaining % 251)])
}

/** The payloads of whole, final, unmasked binary frames. */
function payloads(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    expect(bytes[at]).toBe(0x82)
    const short = bytes.readUInt8(at + 1)
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2))
    found.push(bytes.subarray(start, start + length))
    at = start + length
  }
  return found
}

describe('WebSocket framing', () => {
  test.each([[[0, 0]], [[123, 124, 125, 126, 127, 128]], [[65_531, 65_532, 65_533, 70_000, 5]]])(
    'gives each packet its own frame, with remaining lengths %o',
    (lengths) => {
      const packets = lengths.map(packet)
      const framed = framePackets(Buffer.concat(packets))
      expect(payloads(framed as Buffer)).toEqual(packets)
    },
  )

  test('leaves a single packet uncopied, to be written after its frame header', () => {
    for (const one of [PING, packet(200), packet(70_000)]) {
      expect(framePackets(one)).toBeUndefined()
      expect(payloads(Buffer.concat([frameHead(one.length), one]))).toEqual([one])
    }
  })

  test('frames bytes that are not complete packets as well', () => {
    const bytes = Buffer.concat([PING, packet(10).subarray(0, 5)])
    expect(Buffer.concat(payloads(framePackets(bytes) as Buffer))).toEqual(bytes)
  })
})
