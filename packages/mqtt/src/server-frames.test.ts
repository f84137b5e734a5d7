import { describe, expect, test } from 'vitest'
import { PacketType } from './packet-type.ts'
import { isClientCode, ReasonCode } from './reason-code.ts'
import {
  encodeAuth,
  encodeConnack5,
  encodeDisconnect5,
  encodePublishAnswer,
  encodeReleaseAnswer,
  encodeSuback5,
  encodeUnsuback5,
} from './server-frames.ts'

const ANY = { packetBytesMax: undefined }
const text = (value: string): number[] => {
  const bytes = [...Buffer.from(value)]
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}
const bytesOf = (frame: Buffer | undefined): number[] | undefined => frame && [...frame]

describe('CONNACK of MQTT 5', () => {
  test('has session present 1 only with a success code [MQTT-3.2.2-6]', () => {
    expect(bytesOf(encodeConnack5(0, true, {}, ANY))).toEqual([0x20, 3, 1, 0, 0])
    expect(bytesOf(encodeConnack5(0, false, {}, ANY))).toEqual([0x20, 3, 0, 0, 0])
    expect(bytesOf(encodeConnack5(0x87, true, {}, ANY))).toEqual([0x20, 3, 0, 0x87, 0])
  })

  test('has each given property once', () => {
    const properties = {
      sessionExpiryS: 0xfffffffe,
      receiveMaximum: 10,
      packetBytesMax: 65_536,
      topicAliasMaximum: 32,
      assignedClientId: 'auto-1',
      subscriptionIdentifiersAvailable: false,
      serverKeepAliveS: 600,
      responseInformation: 'r/',
      serverReference: 'other',
      authenticationMethod: 'm',
      authenticationData: Buffer.from([0, 255]),
    }
    const said = [
      [0x11, 255, 255, 255, 254],
      [0x21, 0, 10],
      [0x27, 0, 1, 0, 0],
      [0x22, 0, 32],
      [0x12, ...text('auto-1')],
      [0x29, 0],
      [0x13, 2, 88],
      [0x1a, ...text('r/')],
      [0x1c, ...text('other')],
      [0x15, ...text('m')],
      [0x16, 0, 2, 0, 255],
    ].flat()
    expect(bytesOf(encodeConnack5(0, true, properties, ANY))).toEqual([
      0x20,
      3 + said.length,
      1,
      0,
      said.length,
      ...said,
    ])
  })

  test('leaves its reason string out when it would be too large, and is not sent when it still is', () => {
    const reason = 'why'
    const whole = [0x20, 9, 0, 0x87, 6, 0x1f, ...text(reason)]
    const connack = (packetBytesMax: number) =>
      bytesOf(encodeConnack5(0x87, false, {}, { reason, packetBytesMax }))
    expect(connack(11)).toEqual(whole)
    expect(connack(10)).toEqual([0x20, 3, 0, 0x87, 0])
    expect(connack(5)).toEqual([0x20, 3, 0, 0x87, 0])
    expect(connack(4)).toBeUndefined()
  })
})

test('SUBACK and UNSUBACK have one code per filter, in order [MQTT-3.8.4-6] [MQTT-3.11.3-1]', () => {
  expect(bytesOf(encodeSuback5(258, [0, 1, 2, 0x87, 0x8f], ANY))).toEqual([
    0x90, 8, 1, 2, 0, 0, 1, 2, 0x87, 0x8f,
  ])
  expect(bytesOf(encodeUnsuback5(258, [0, 0x11], ANY))).toEqual([0xb0, 5, 1, 2, 0, 0, 0x11])
  const reason = 'why'
  expect(bytesOf(encodeSuback5(1, [0x97], { reason, packetBytesMax: undefined }))).toEqual([
    0x90,
    10,
    0,
    1,
    6,
    0x1f,
    ...text(reason),
    0x97,
  ])
})

test('DISCONNECT has a reason code, a server reference and a reason string', () => {
  expect(bytesOf(encodeDisconnect5(0x8b, undefined, ANY))).toEqual([0xe0, 2, 0x8b, 0])
  expect(
    bytesOf(encodeDisconnect5(0x9c, 'b', { reason: 'go', packetBytesMax: undefined })),
  ).toEqual([0xe0, 11, 0x9c, 9, 0x1c, ...text('b'), 0x1f, ...text('go')])
})

test('AUTH has an authentication method and data', () => {
  const authentication = { authenticationMethod: 'm', authenticationData: Buffer.from([1]) }
  expect(bytesOf(encodeAuth(0x18, authentication, ANY))).toEqual([
    0xf0,
    10,
    0x18,
    8,
    0x15,
    ...text('m'),
    0x16,
    0,
    1,
    1,
  ])
})

describe('the answers to a PUBLISH', () => {
  test.each([
    ['PUBACK', encodePublishAnswer(PacketType.PUBACK, 258, 0x10), [0x40, 3, 1, 2, 0x10]],
    ['PUBREC', encodePublishAnswer(PacketType.PUBREC, 258, 0x87), [0x50, 3, 1, 2, 0x87]],
    ['PUBREL', encodeReleaseAnswer(PacketType.PUBREL, 258, 0x92), [0x62, 3, 1, 2, 0x92]],
    ['PUBCOMP', encodeReleaseAnswer(PacketType.PUBCOMP, 258, 0x92), [0x70, 3, 1, 2, 0x92]],
    ['PUBACK of success', encodePublishAnswer(PacketType.PUBACK, 258, 0), [0x40, 2, 1, 2]],
  ])('%s', (_name, frame, bytes) => {
    expect([...frame]).toEqual(bytes)
  })
})

test('a client may send only the reason codes of the tables of the standard', () => {
  const allowed = (packet: Parameters<typeof isClientCode>[0]) =>
    Array.from({ length: 256 }, (_, code) => code).filter((code) => isClientCode(packet, code))
  expect(allowed('publish')).toEqual([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
  expect(allowed('release')).toEqual([0, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND])
  expect(allowed('disconnect')).toEqual([
    0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  ])
  expect(allowed('auth')).toEqual([0x18, 0x19])
})
