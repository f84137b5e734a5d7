import { describe, expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'
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

const FULL = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
const IPV4 = Buffer.from([10, 1, 2, 3, 10, 0, 0, 1, 0x9c, 0x40, 0x22, 0xb3])
const IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0x9c, 0x40, 0, 1]),
])
const UNIX = Buffer.alloc(216, 'x')
/** A header of version 2 with its checksum, or with another one (`wrong` is added to it). */
function checked(wrong = 0): Buffer {
  const header = v2(0x21, 0x11, IPV4, tlv(0x02, 'a'), tlv(0x03, Buffer.alloc(4)), tlv(0x04, 'pad'))
  const at = header.indexOf(Buffer.from([3, 0, 4])) + 3
  header.writeUInt32BE((crc32c(header) + wrong) % 2 ** 32, at)
  return header
}
const SSL = tlv(0x20, Buffer.concat([Buffer.alloc(5), tlv(0x22, 'buoy')]))

describe('a complete PROXY header', () => {
  test.each([
    ['version 1, TCP4', 'PROXY TCP4 10.1.2.3 10.0.0.1 40000 8883\r\n', '10.1.2.3:40000'],
    ['version 1, TCP6', 'PROXY TCP6 2001:db8::1 ::1 40000 8883\r\n', '2001:db8::1:40000'],
    ['version 1, the longest', `PROXY TCP6 ${FULL} ${FULL} 65535 65535\r\n`, `${FULL}:65535`],
    ['version 1, TCP6 of IPv4', 'PROXY TCP6 ::ffff:10.1.2.3 ::1 0 1\r\n', '::ffff:10.1.2.3:0'],
    ['version 1, UNKNOWN', 'PROXY UNKNOWN\r\n', undefined],
    ['version 1, UNKNOWN, 107 bytes', `PROXY UNKNOWN ${'?'.repeat(91)}\r\n`, undefined],
    ['version 1, UNKNOWN with addresses', 'PROXY UNKNOWN 192.0.2.256 x -1\n99999\r\n', undefined],
    ['version 2, TCP4', v2(0x21, 0x11, IPV4), '10.1.2.3:40000'],
    ['version 2, TCP6', v2(0x21, 0x21, IPV6), '2001:db8:0:0:0:0:0:1:40000'],
    ['version 2, LOCAL', v2(0x20, 0x00), undefined],
    ['version 2, LOCAL with an address', v2(0x20, 0x11, IPV4), undefined],
    ['version 2, LOCAL with arbitrary bytes', v2(0x20, 0xff, Buffer.from('?!')), undefined],
    ['version 2, a Unix socket', v2(0x21, 0x31, UNIX), undefined],
    ['version 2, a Unix socket with a TLV', v2(0x21, 0x31, UNIX, tlv(0x02, 'a')), undefined],
    ['version 2, unspecified', v2(0x21, 0x00, Buffer.from('?!')), undefined],
    ['version 2, UDP', v2(0x21, 0x12, IPV4), undefined],
    ['version 2, an unspecified transport', v2(0x21, 0x20, IPV6), undefined],
    ['version 2 with a checksum', checked(), '10.1.2.3:40000'],
  ])('of %s gives the client address and the end of the header', (_title, header, peer) => {
    const bytes = Buffer.from(header)
    const read = readProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]))
    expect(read).toMatchObject({ bytes: bytes.length, peer })
    // In any two pieces it is the same header.
    for (let length = 0; length < bytes.length; length += 1)
      expect(readProxyHeader(bytes.subarray(0, length))).toBeUndefined()
  })

  test('of version 2 may contain a host name and a common name', () => {
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
  ['a version 1 with an invalid port', 'PROXY TCP4 10.1.2.3 10.0.0.1 x 8883\r\n'],
  ['a version 1 without an end', `PROXY TCP4 ${'1'.repeat(200)}`],
  ['a version 3', v2(0x31, 0x11, IPV4)],
  ['an unknown command', v2(0x22, 0x11, IPV4)],
  ['a version 2 of an unknown family', v2(0x21, 0x41, UNIX)],
  ['a version 2 of an unknown transport', v2(0x21, 0x13, IPV4)],
  ['a version 2 without its addresses', v2(0x21, 0x11, IPV4.subarray(0, 8))],
  ['a version 2, IPv6, with IPv4 addresses', v2(0x21, 0x21, IPV4)],
  ['a version 2 of a Unix socket without its addresses', v2(0x21, 0x31, UNIX.subarray(1))],
  ['a version 2 with a TLV beyond the end', v2(0x21, 0x11, IPV4, Buffer.from([2, 0, 9, 65]))],
  ['a version 2 with a TLV without a length', v2(0x21, 0x11, IPV4, Buffer.from([2, 0]))],
  [
    'a version 2 of a Unix socket with a TLV beyond the end',
    v2(0x21, 0x31, UNIX, Buffer.from([2, 0, 9, 65])),
  ],
  ['a version 2 with an SSL TLV cut short', v2(0x21, 0x11, IPV4, tlv(0x20, 'four'))],
  [
    'a version 2 with a nested TLV beyond the end',
    v2(0x21, 0x11, IPV4, tlv(0x20, Buffer.from([0, 0, 0, 0, 0, 0x22, 0, 9, 65]))),
  ],
  ['a version 2 with a unique id of 129 bytes', v2(0x21, 0x11, IPV4, tlv(5, 'u'.repeat(129)))],
  ['a version 2 with a checksum of 3 bytes', v2(0x21, 0x11, IPV4, tlv(3, 'abc'))],
  ['a version 2 with a wrong checksum', checked(1)],
  ['a version 2 above the maximum length', v2(0x21, 0x11, IPV4, Buffer.alloc(5_000))],
  ['a version 1 of 108 bytes', `PROXY UNKNOWN ${'?'.repeat(92)}\r\n`],
  ['a version 1 that ends with a line feed', 'PROXY TCP4 10.1.2.3 10.0.0.1 40000 8883\n'],
  ['a version 1 of an unknown protocol', 'PROXY UDP4 10.1.2.3 10.0.0.1 40000 8883\r\n'],
  ['a version 1 in small letters', 'PROXY tcp4 10.1.2.3 10.0.0.1 40000 8883\r\n'],
  ['a version 1 with the family UNKNOWNX', 'PROXY UNKNOWNX\r\n'],
])('%s is not a valid PROXY header', (_title, bytes) => {
  expect(readProxyHeader(Buffer.from(bytes))).toEqual(expect.any(String))
})

test.each([
  ['an octet above 255', 'TCP4 192.0.2.256 10.0.0.1 1 2'],
  ['a destination above 255', 'TCP4 192.0.2.1 10.0.0.256 1 2'],
  ['three octets', 'TCP4 192.0.2 10.0.0.1 1 2'],
  ['a zero in front', 'TCP4 192.0.02.1 10.0.0.1 1 2'],
  ['a hexadecimal octet', 'TCP4 0xc0.0.2.1 10.0.0.1 1 2'],
  ['IPv6 under TCP4', 'TCP4 2001:db8::1 ::1 1 2'],
  ['IPv4 under TCP6', 'TCP6 192.0.2.1 192.0.2.2 1 2'],
  ['a family that changes', 'TCP6 2001:db8::1 192.0.2.2 1 2'],
  ['nine groups', 'TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2'],
  ['two runs of zeros', 'TCP6 1::2::3 ::1 1 2'],
  ['a group of five digits', 'TCP6 2001:db8::12345 ::1 1 2'],
  ['a zone', 'TCP6 fe80::1%eth0 ::1 1 2'],
  ['a host name', 'TCP4 localhost 10.0.0.1 1 2'],
  ['a source port above 65535', 'TCP4 10.1.2.3 10.0.0.1 65536 2'],
  ['a destination port above 65535', 'TCP4 10.1.2.3 10.0.0.1 1 65536'],
  ['a port with a zero in front', 'TCP4 10.1.2.3 10.0.0.1 01 2'],
  ['a port with a sign', 'TCP4 10.1.2.3 10.0.0.1 +1 2'],
  ['an empty port', 'TCP4 10.1.2.3 10.0.0.1  2'],
  ['two spaces', 'TCP4  10.1.2.3 10.0.0.1 1 2'],
  ['a space at the end', 'TCP4 10.1.2.3 10.0.0.1 1 2 '],
  ['a tabulator', 'TCP4 10.1.2.3 10.0.0.1 1\t2'],
  ['a carriage return', 'TCP4 10.1.2.3 10.0.0.1 1 2\r'],
  ['a zero byte', 'TCP4 10.1.2.3 10.0.0.1 1 2\0'],
  ['three fields', 'TCP4 10.1.2.3 10.0.0.1 1'],
  ['five fields', 'TCP4 10.1.2.3 10.0.0.1 1 2 3'],
])('a version 1 PROXY header is invalid with %s', (_title, text) => {
  expect(readProxyHeader(Buffer.from(`PROXY ${text}\r\n`, 'latin1'))).toEqual(expect.any(String))
})

test('the PROXY header checksum is the CRC32C of RFC 3720, appendix B.4', () => {
  const bytes = (from: number, step: number): Uint8Array =>
    Uint8Array.from({ length: 32 }, (_, at) => from + step * at)
  expect(crc32c(bytes(0, 0))).toBe(0x8a9136aa)
  expect(crc32c(bytes(0xff, 0))).toBe(0x62a8ab43)
  expect(crc32c(bytes(0, 1))).toBe(0x46dd794e)
  expect(crc32c(bytes(31, -1))).toBe(0x113fdb5c)
})
