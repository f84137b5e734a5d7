import { describe, expect, test } from 'vitest'
import { readProxyHeader } from './proxy-header.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function tlv(type: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 255]), bytes])
}

function v2(command: number, family: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.from([command, family, body.length >> 8, body.length & 255])
  return Buffer.concat([SIGNATURE, head, body])
}

const IPV4 = Buffer.from([10, 1, 2, 3, 10, 0, 0, 1, 0x9c, 0x40, 0x22, 0xb3])
const IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0x9c, 0x40, 0, 1]),
])
const SSL = tlv(0x20, Buffer.concat([Buffer.alloc(5), tlv(0x22, 'buoy')]))

describe('a whole header', () => {
  test.each([
    ['version 1, TCP4', 'PROXY TCP4 10.1.2.3 10.0.0.1 40000 8883\r\n', '10.1.2.3:40000'],
    ['version 1, TCP6', 'PROXY TCP6 2001:db8::1 ::1 40000 8883\r\n', '2001:db8::1:40000'],
    ['version 1 of nobody', 'PROXY UNKNOWN\r\n', undefined],
    ['version 2, TCP4', v2(0x21, 0x11, IPV4), '10.1.2.3:40000'],
    ['version 2, TCP6', v2(0x21, 0x21, IPV6), '2001:db8:0:0:0:0:0:1:40000'],
    ['version 2, LOCAL', v2(0x20, 0x00), undefined],
    ['version 2, another family', v2(0x21, 0x31, Buffer.alloc(216)), undefined],
  ])('of %s says who it is, and where it ends', (_title, header, peer) => {
    const bytes = Buffer.from(header)
    const read = readProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]))
    expect(read).toMatchObject({ bytes: bytes.length, peer })
    // In any two pieces it is the same header.
    for (let length = 0; length < bytes.length; length += 1)
      expect(readProxyHeader(bytes.subarray(0, length))).toBeUndefined()
  })

  test('of version 2 may claim a host name and a common name', () => {
    const bytes = v2(0x21, 0x11, IPV4, tlv(0x02, 'fleet.example'), SSL, tlv(0xee, 'x'))
    expect(readProxyHeader(bytes)).toMatchObject({
      claims: { authority: 'fleet.example', commonName: 'buoy' },
    })
  })
})

test.each([
  ['MQTT', Buffer.from([0x10, 0x0c])],
  ['TLS', Buffer.from([0x16, 0x03, 0x01])],
  ['HTTP', 'GET / HTTP/1.1'],
  ['a version 1 without addresses', 'PROXY TCP4 \r\n'],
  ['a version 1 with a port that is none', 'PROXY TCP4 10.1.2.3 10.0.0.1 x 8883\r\n'],
  ['a version 1 without an end', `PROXY TCP4 ${'1'.repeat(200)}`],
  ['a version 3', v2(0x31, 0x11, IPV4)],
  ['an unknown command', v2(0x22, 0x11, IPV4)],
  ['a version 2 without its addresses', v2(0x21, 0x11, IPV4.subarray(0, 8))],
  ['a version 2 with a TLV over the end', v2(0x21, 0x11, IPV4, Buffer.from([2, 0, 9, 65]))],
  ['a version 2 longer than any', v2(0x21, 0x11, IPV4, Buffer.alloc(5_000))],
])('%s is none', (_title, bytes) => {
  expect(readProxyHeader(Buffer.from(bytes))).toEqual(expect.any(String))
})
