import { describe, expect, test } from 'vitest'
import { encodeSubscribe, encodeUnsubscribe } from './control-frames.ts'
import { readPacketId, readSubscribe, readUnsubscribe } from './subscribe-frame.ts'

const subscribe = (...body: readonly number[]) =>
  readSubscribe(Buffer.from(body), 0, body.length, 4)
const unsubscribe = (...body: readonly number[]) =>
  readUnsubscribe(Buffer.from(body), 0, body.length)

test('what control-frames writes is read back', () => {
  const requests = [
    { filter: 'a/+/b', qos: 0 },
    { filter: '#', qos: 1 },
    { filter: 'ä'.repeat(100), qos: 2 },
  ] as const
  const bytes = encodeSubscribe(65_535, requests)
  expect(bytes[0]).toBe(0x82)
  expect(readSubscribe(bytes, 3, bytes.length, 4)).toEqual({ packetId: 65_535, requests })
  const filters = ['a/+/b', '#', '$SYS/x']
  const leaving = encodeUnsubscribe(1, filters)
  expect(leaving[0]).toBe(0xa2)
  expect(readUnsubscribe(leaving, 2, leaving.length)).toEqual({ packetId: 1, filters })
})

describe('SUBSCRIBE is malformed', () => {
  test.each([
    ['with packet id 0 [MQTT-2.3.1-1]', [0, 0, 0, 1, 97, 0]],
    ['without a filter [MQTT-3.8.3-3]', [0, 1]],
    ['with an empty filter [MQTT-4.7.3-1]', [0, 1, 0, 0, 0]],
    ['without a QoS', [0, 1, 0, 1, 97]],
    ['with QoS 3 [MQTT-3-8.3-4]', [0, 1, 0, 1, 97, 3]],
    ['with reserved bits in the QoS [MQTT-3-8.3-4]', [0, 1, 0, 1, 97, 0x81]],
    ['with a filter longer than the packet', [0, 1, 0, 9, 97, 0]],
    ['with half of a filter length', [0, 1, 0, 1, 97, 0, 0]],
    ['with NUL in a filter [MQTT-1.5.3-2]', [0, 1, 0, 1, 0, 0]],
    ['with a filter that is no UTF-8 [MQTT-1.5.3-1]', [0, 1, 0, 1, 0xff, 0]],
    ['with half of a packet id', [1]],
    ['with nothing in it', []],
  ])('%s', (_why, body) => {
    expect(subscribe(...body)).toBeUndefined()
  })
})

describe('UNSUBSCRIBE is malformed', () => {
  test.each([
    ['with packet id 0 [MQTT-2.3.1-1]', [0, 0, 0, 1, 97]],
    ['without a filter [MQTT-3.10.3-2]', [0, 1]],
    ['with an empty filter [MQTT-4.7.3-1]', [0, 1, 0, 0]],
    ['with a filter longer than the packet', [0, 1, 0, 2, 97]],
    ['with half of a filter length', [0, 1, 0, 1, 97, 0]],
    ['with a filter that is no UTF-8 [MQTT-1.5.3-1]', [0, 1, 0, 1, 0xc0]],
    ['with nothing in it', []],
  ])('%s', (_why, body) => {
    expect(unsubscribe(...body)).toBeUndefined()
  })
})

test('bytes behind the packet are not read', () => {
  // The next frame in the chunk would make these whole.
  const behind = Buffer.from([0, 1, 0, 1, 97, 0, 0, 1])
  expect(readSubscribe(behind, 0, 5, 4)).toBeUndefined()
  expect(readUnsubscribe(behind, 0, 4)).toBeUndefined()
  expect(readPacketId(behind, 0, 1)).toBe(0)
  expect(readPacketId(behind, 0, 2)).toBe(1)
})
