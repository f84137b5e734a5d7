import { expect, test } from 'vitest'
import {
  beforeConnectFaults,
  firstByteFaults,
  PacketType,
  packetTypeNames,
  type FirstByteFaults,
} from './packet-type.ts'

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

/** What the tables of MQTT 3.1 mark as not used may be anything there; DUP is set where something is sent again. */
const ALLOWED_BY_31 = new Set([
  ...ALLOWED.keys(),
  ...[0x10, 0x40, 0x50, 0x70, 0xc0, 0xe0].flatMap((type) =>
    Array.from({ length: 16 }, (_, flags) => type + flags),
  ),
  ...[0x60, 0x80, 0xa0].flatMap((type) => [type + 2, type + 3, type + 10, type + 11]),
  // Of QoS 0 DUP means nothing.
  0x38,
  0x39,
])

function expectFaults(faults: FirstByteFaults, isAllowed: (byte: number) => boolean): void {
  expect(faults).toHaveLength(256)
  for (const [byte, fault] of faults.entries()) {
    const refusal = FROM_SERVERS.has(byte >> 4) ? 'protocol-error' : 'malformed'
    expect(fault, `0x${byte.toString(16)}`).toBe(isAllowed(byte) ? undefined : refusal)
  }
}

test('every one of the 256 first bytes is judged as MQTT 3.1.1 says [MQTT-2.2.2-2]', () => {
  expectFaults(firstByteFaults[4], (byte) => ALLOWED.has(byte))
})

test('every one of the 256 first bytes is judged as MQTT 3.1 says, which uses fewer flags', () => {
  expectFaults(firstByteFaults[3], (byte) => ALLOWED_BY_31.has(byte))
})

test('every one of the 256 first bytes is judged as MQTT 5 says, which has AUTH [MQTT-2.1.3-1]', () => {
  expectFaults(firstByteFaults[5], (byte) => ALLOWED.has(byte) || byte === 0xf0)
})

test('before CONNECT every other packet type is refused, whatever its flags [MQTT-3.1.0-1]', () => {
  for (const [byte, fault] of beforeConnectFaults.entries())
    expect(fault === undefined, `0x${byte.toString(16)}`).toBe(byte >> 4 === PacketType.CONNECT)
})

test('each allowed first byte has the packet type of its name', () => {
  for (const [byte, name] of ALLOWED) expect(packetTypeNames[byte >> 4]).toBe(name)
})

test('every packet type has a unique name', () => {
  const types = Object.keys(PacketType).length
  expect(Object.keys(packetTypeNames)).toHaveLength(types)
  expect(new Set(Object.values(packetTypeNames)).size).toBe(types)
})
