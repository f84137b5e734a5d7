import { describe, expect, test } from 'vitest'
import { encodeSubscribe, encodeUnsubscribe } from './control-frames.ts'
import { readPacketId, readSubscribe, readUnsubscribe } from './subscribe-frame.ts'

type Level = 3 | 4 | 5

const subscribeAt = (level: Level, body: readonly number[]) =>
  readSubscribe(Buffer.from(body), 0, body.length, level)
const unsubscribeAt = (level: Level, body: readonly number[]) =>
  readUnsubscribe(Buffer.from(body), 0, body.length, level)
const subscribe = (...body: readonly number[]) => subscribeAt(4, body)
const unsubscribe = (...body: readonly number[]) => unsubscribeAt(4, body)
const plain = { noLocal: false, retainAsPublished: false, retainHandling: 0 }

test('SUBSCRIBE and UNSUBSCRIBE are read as they are written', () => {
  const requests = [
    { filter: 'a/+/b', qos: 0 },
    { filter: '#', qos: 1 },
    { filter: 'ä'.repeat(100), qos: 2 },
  ] as const
  const bytes = encodeSubscribe(65_535, requests)
  expect(bytes[0]).toBe(0x82)
  expect(readSubscribe(bytes, 3, bytes.length, 4)).toEqual({
    packetId: 65_535,
    requests: requests.map((request) => ({ ...request, ...plain })),
    subscriptionId: 0,
  })
  const filters = ['a/+/b', '#', '$SYS/x']
  const leaving = encodeUnsubscribe(1, filters)
  expect(leaving[0]).toBe(0xa2)
  expect(readUnsubscribe(leaving, 2, leaving.length, 4)).toEqual({ packetId: 1, filters })
})

describe('a SUBSCRIBE is malformed', () => {
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
    ['with a filter that is not UTF-8 [MQTT-1.5.3-1]', [0, 1, 0, 1, 0xff, 0]],
    ['with half of a packet id', [1]],
    ['with an empty body', []],
  ])('%s', (_why, body) => {
    expect(subscribe(...body)).toBe('malformed')
  })
})

describe('an UNSUBSCRIBE is malformed', () => {
  test.each([
    ['with packet id 0 [MQTT-2.3.1-1]', [0, 0, 0, 1, 97]],
    ['without a filter [MQTT-3.10.3-2]', [0, 1]],
    ['with an empty filter [MQTT-4.7.3-1]', [0, 1, 0, 0]],
    ['with a filter longer than the packet', [0, 1, 0, 2, 97]],
    ['with half of a filter length', [0, 1, 0, 1, 97, 0]],
    ['with a filter that is not UTF-8 [MQTT-1.5.3-1]', [0, 1, 0, 1, 0xc0]],
    ['with an empty body', []],
  ])('%s', (_why, body) => {
    expect(unsubscribe(...body)).toBe('malformed')
  })
})

test('the bytes after a SUBSCRIBE are not read', () => {
  // The next frame in the chunk would make these whole.
  const behind = Buffer.from([0, 1, 0, 1, 97, 0, 0, 1])
  expect(readSubscribe(behind, 0, 5, 4)).toBe('malformed')
  expect(readUnsubscribe(behind, 0, 4, 4)).toBe('malformed')
  expect(readPacketId(behind, 0, 1)).toBe(0)
  expect(readPacketId(behind, 0, 2)).toBe(1)
})

describe('SUBSCRIBE of MQTT 5', () => {
  const id = [0x0b, 0xff, 0xff, 0xff, 0x7f]
  const user = [0x26, 0, 1, 97, 0, 1, 98]

  test.each([
    [0x00, { qos: 0, ...plain }],
    [0x01, { qos: 1, ...plain }],
    [0x02, { qos: 2, ...plain }],
    [0x04, { qos: 0, ...plain, noLocal: true }],
    [0x09, { qos: 1, ...plain, retainAsPublished: true }],
    [0x12, { qos: 2, ...plain, retainHandling: 1 }],
    [0x20, { qos: 0, ...plain, retainHandling: 2 }],
    [0x2e, { qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
  ])('has the subscription options %i', (options, request) => {
    expect(subscribeAt(5, [0, 7, 0, 0, 1, 97, options])).toEqual({
      packetId: 7,
      requests: [{ filter: 'a', ...request }],
      subscriptionId: 0,
    })
  })

  test('has one subscription identifier for all of its filters, also the largest', () => {
    const body = [0, 7, id.length + user.length, ...user, ...id, 0, 1, 97, 0, 0, 1, 98, 1]
    expect(subscribeAt(5, body)).toMatchObject({
      requests: [{ filter: 'a' }, { filter: 'b' }],
      subscriptionId: 268_435_455,
    })
  })

  test('keeps a filter that is not allowed, which gets its own reason code', () => {
    const body = [0, 7, 0, 0, 2, 97, 35, 0, 0, 0, 0]
    expect(subscribeAt(5, body)).toMatchObject({ requests: [{ filter: 'a#' }, { filter: '' }] })
  })

  test.each([
    ['QoS 3', [0, 7, 0, 0, 1, 97, 3], 'malformed'],
    ['retain handling 3', [0, 7, 0, 0, 1, 97, 0x30], 'malformed'],
    ['a reserved bit [MQTT-3.8.3-5]', [0, 7, 0, 0, 1, 97, 0x40], 'malformed'],
    ['the other reserved bit [MQTT-3.8.3-5]', [0, 7, 0, 0, 1, 97, 0x80], 'malformed'],
    ['no filter [MQTT-3.8.3-2]', [0, 7, 0], 'malformed'],
    ['no properties', [0, 7], 'malformed'],
    ['a filter that is cut short', [0, 7, 0, 0, 2, 97], 'malformed'],
    ['NUL in a filter [MQTT-1.5.4-2]', [0, 7, 0, 0, 1, 0, 0], 'malformed'],
    ['two identifiers', [0, 7, 4, 0x0b, 1, 0x0b, 2, 0, 1, 97, 0], 'protocol-error'],
    ['a property of PUBLISH', [0, 7, 3, 0x23, 0, 1, 0, 1, 97, 0], 'protocol-error'],
    [
      'No Local for a shared subscription [MQTT-3.8.3-4]',
      [0, 7, 0, 0, 10, ...Buffer.from('$share/g/a'), 4],
      'protocol-error',
    ],
  ])('with %s is refused', (_what, body, fault) => {
    expect(subscribeAt(5, body)).toBe(fault)
  })
})

describe('UNSUBSCRIBE of MQTT 5', () => {
  test('has properties before its filters, also before filters that are not allowed', () => {
    const user = [0x26, 0, 1, 97, 0, 1, 98]
    expect(unsubscribeAt(5, [0, 7, user.length, ...user, 0, 1, 97, 0, 2, 97, 35])).toEqual({
      packetId: 7,
      filters: ['a', 'a#'],
    })
  })

  test.each([
    ['no filter [MQTT-3.10.3-2]', [0, 7, 0], 'malformed'],
    ['no properties', [0, 7], 'malformed'],
    ['a subscription identifier', [0, 7, 2, 0x0b, 1, 0, 1, 97], 'protocol-error'],
  ])('with %s is refused', (_what, body, fault) => {
    expect(unsubscribeAt(5, body)).toBe(fault)
  })
})
