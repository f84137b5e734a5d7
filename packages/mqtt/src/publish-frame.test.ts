import type { QoS } from './qos.ts'
import { describe, expect, test } from 'vitest'
import { encodePublish, encodePublish5, lengthBytes, writeLength } from './publish-frame.ts'
import { encodeConnack, encodeWithPacketId } from './small-frames.ts'
import { encodeSuback } from './control-frames.ts'
import { PacketType } from './packet-type.ts'

describe('a remaining length', () => {
  test.each([
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16_383, [0xff, 0x7f]],
    [16_384, [0x80, 0x80, 0x01]],
    [2_097_151, [0xff, 0xff, 0x7f]],
    [2_097_152, [0x80, 0x80, 0x80, 0x01]],
    [268_435_455, [0xff, 0xff, 0xff, 0x7f]],
  ])('%i is written as %o', (length, bytes) => {
    const buffer = Buffer.alloc(6, 0xee)
    expect(writeLength(buffer, 1, length)).toBe(1 + bytes.length)
    expect([...buffer.subarray(1, 1 + bytes.length)]).toEqual(bytes)
    expect(lengthBytes(length)).toBe(bytes.length)
    expect(buffer[1 + bytes.length]).toBe(0xee)
  })
})

describe('an encoded PUBLISH', () => {
  test.each<[QoS, boolean, number, number]>([
    [0, false, 0x30, 0],
    [0, true, 0x31, 0],
    [1, false, 0x32, 7],
    [1, true, 0x33, 7],
    [2, false, 0x34, 7],
    [2, true, 0x35, 7],
  ])('has the right bytes for QoS %i, retain %s', (qos, retain, firstByte, packetIdOffset) => {
    const message = { topic: 't/1', payload: Buffer.from([1, 2]) }
    const frame = encodePublish(message, qos, retain)
    const packetId = qos === 0 ? [] : [frame.bytes[7], frame.bytes[8]]
    const length = 2 + 3 + packetId.length + 2
    expect([...frame.bytes]).toEqual([firstByte, length, 0, 3, 116, 47, 49, ...packetId, 1, 2])
    expect(frame.packetIdOffset).toBe(packetIdOffset)
  })

  test('has a topic length in bytes, not in characters', () => {
    const { bytes } = encodePublish({ topic: 'é😀', payload: Buffer.alloc(0) }, 0, false)
    expect(bytes).toEqual(Buffer.from([0x30, 8, 0, 6, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]))
  })

  test('has a copy of the payload: its read buffer may change', () => {
    const payload = Buffer.from('before')
    const { bytes } = encodePublish({ topic: 't', payload }, 0, false)
    payload.fill('x')
    expect(bytes.subarray(-6).toString()).toBe('before')
  })
})

describe('an encoded PUBLISH of MQTT 5', () => {
  const message = { topic: 't/1', payload: Buffer.from([1, 2]), properties: undefined }
  const properties = Buffer.from([0x01, 1])
  const ids = Buffer.from([0x0b, 1, 0x0b, 0x80, 1])

  test('without properties has one byte more than a PUBLISH of MQTT 3.1.1', () => {
    const frame = encodePublish5(message, 1, true, undefined, undefined)
    expect([...frame.bytes]).toEqual([
      0x33,
      10,
      0,
      3,
      116,
      47,
      49,
      frame.bytes[7],
      frame.bytes[8],
      0,
      1,
      2,
    ])
    expect(frame.packetIdOffset).toBe(7)
    expect([...encodePublish5(message, 0, false, undefined, undefined).bytes]).toEqual([
      0x30, 8, 0, 3, 116, 47, 49, 0, 1, 2,
    ])
  })

  test('has expiry, identifiers and the properties of the message, in this order', () => {
    const frame = encodePublish5({ ...message, properties }, 0, false, 0xfffffffe, ids)
    const own = [0x02, 255, 255, 255, 254, ...ids, ...properties]
    expect([...frame.bytes]).toEqual([
      0x30,
      8 + own.length,
      0,
      3,
      116,
      47,
      49,
      own.length,
      ...own,
      1,
      2,
    ])
  })

  test('has properties whose length takes more than one byte', () => {
    const many = Buffer.alloc(200, 7)
    const { bytes } = encodePublish5({ ...message, properties: many }, 0, false, undefined, ids)
    expect([...bytes.subarray(0, 10)]).toEqual([0x30, 0xd6, 1, 0, 3, 116, 47, 49, 0xcd, 1])
    expect(bytes.subarray(10)).toEqual(Buffer.concat([ids, many, message.payload]))
  })
})

test.each([
  [PacketType.PUBACK, 0x40],
  [PacketType.PUBREC, 0x50],
  [PacketType.PUBREL, 0x62],
  [PacketType.PUBCOMP, 0x70],
  [PacketType.UNSUBACK, 0xb0],
])('packet type %i with a packet id starts with its first byte', (type, firstByte) => {
  expect([...encodeWithPacketId(type, 0xfffe)]).toEqual([firstByte, 2, 0xff, 0xfe])
  expect([...encodeWithPacketId(type, 1)]).toEqual([firstByte, 2, 0, 1])
})

test('SUBACK has one code per filter, in order [MQTT-3.9.3-1]', () => {
  expect([...encodeSuback(258, [0, 1, 2, 0x80])]).toEqual([0x90, 6, 1, 2, 0, 1, 2, 0x80])
})

test('CONNACK has session present 1 only with return code 0 [MQTT-3.2.2-4]', () => {
  expect([...encodeConnack(0, true)]).toEqual([0x20, 2, 1, 0])
  expect([...encodeConnack(0, false)]).toEqual([0x20, 2, 0, 0])
  expect([...encodeConnack(5, true)]).toEqual([0x20, 2, 0, 5])
})
