import { expect, test } from 'vitest'
import { firstByteFaults, PacketType, packetTypeNames } from './packet-type.ts'

/** Written out from tables 2.1 and 2.2 and section 3.3.1 of the standard; the code computes them. */
const ALLOWED = new Map([
  [0x10, 'connect'],
  [0x30, 'publish'],
  [0x31, 'publish'],
  [0x32, 'publish'],
  [0x33, 'publish'],
  [0x34, 'publish'],
  [0x35, 'publish'],
  [0x3a, 'publish'],
  [0x3b, 'publish'],
  [0x3c, 'publish'],
  [0x3d, 'publish'],
  [0x40, 'puback'],
  [0x50, 'pubrec'],
  [0x62, 'pubrel'],
  [0x70, 'pubcomp'],
  [0x82, 'subscribe'],
  [0xa2, 'unsubscribe'],
  [0xc0, 'pingreq'],
  [0xe0, 'disconnect'],
])
const FROM_SERVERS = new Set([0x2, 0x9, 0xb, 0xd])

function expected(byte: number): string | undefined {
  if (ALLOWED.has(byte)) return undefined
  return FROM_SERVERS.has(byte >> 4) ? 'protocol-violation' : 'malformed-packet'
}

test('every one of the 256 first bytes is judged as the standard says [MQTT-2.2.2-2]', () => {
  expect(firstByteFaults).toHaveLength(256)
  for (const [byte, fault] of firstByteFaults.entries())
    expect(fault, `0x${byte.toString(16)}`).toBe(expected(byte))
})

test('each allowed first byte has the type it is named for', () => {
  for (const [byte, name] of ALLOWED) expect(packetTypeNames[byte >> 4]).toBe(name)
})

test('every type has a name and no two share one', () => {
  const types = Object.keys(PacketType).length
  expect(Object.keys(packetTypeNames)).toHaveLength(types)
  expect(new Set(Object.values(packetTypeNames)).size).toBe(types)
})
