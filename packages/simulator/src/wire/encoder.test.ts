import { expect, test } from 'vitest'
import {
  DISCONNECT,
  encodeAcknowledgement,
  encodeConnect,
  encodePublish,
  encodeRemainingLength,
  encodeSubscribe,
  PINGREQ,
} from './encoder.ts'
import { PacketType } from './packet.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test.each([
  [0, '00'],
  [127, '7f'],
  [128, '8001'],
  [16_383, 'ff7f'],
  [16_384, '808001'],
  [2_097_151, 'ffff7f'],
  [268_435_455, 'ffffff7f'],
])('a remaining length of %i is encoded as %s (table 2.4)', (length, bytes) => {
  expect(hex(encodeRemainingLength(length))).toBe(bytes)
})

test('the simulator encodes a clean CONNECT without credentials', () => {
  const frame = encodeConnect({ clientId: 'ab', clean: true, keepAliveS: 60 })
  expect(hex(frame)).toBe('100e00044d5154540402003c00026162')
})

test('the simulator encodes a CONNECT with credentials and a persistent session', () => {
  const fields = { clientId: 'a', clean: false, keepAliveS: 0, username: 'u', password: 'p' }
  expect(hex(encodeConnect(fields))).toBe('101300044d51545404c00000000161000175000170')
})

test('the simulator sends no password without a user name [MQTT-3.1.2-22]', () => {
  const frame = encodeConnect({ clientId: 'a', clean: true, keepAliveS: 0, password: 'p' })
  expect(frame[9]).toBe(0x02)
  expect(frame.toString('latin1')).not.toContain('p')
})

test('the simulator encodes SUBSCRIBE with the reserved flags [MQTT-3.8.1-1]', () => {
  expect(hex(encodeSubscribe(10, 'a/+', 2))).toBe('8208000a0003612f2b02')
})

test('the simulator encodes a packet id in PUBLISH only above QoS 0 [MQTT-2.3.1-5]', () => {
  const payload = Buffer.of(1, 2)
  expect(hex(encodePublish({ topic: 'a', payload, qos: 0 }))).toBe('30050001610102')
  const fields = { topic: 'a', payload, qos: 2, retain: true, packetId: 258 } as const
  expect(hex(encodePublish(fields))).toBe('350700016101020102')
})

test('the simulator encodes acknowledgements, and PUBREL with the reserved flags [MQTT-3.6.1-1]', () => {
  expect(hex(encodeAcknowledgement(PacketType.puback, 0xabcd))).toBe('4002abcd')
  expect(hex(encodeAcknowledgement(PacketType.pubrel, 1))).toBe('62020001')
})

test('the simulator encodes PINGREQ and DISCONNECT', () => {
  expect([hex(PINGREQ), hex(DISCONNECT)]).toEqual(['c000', 'e000'])
})
