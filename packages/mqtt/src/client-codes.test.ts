import { describe, expect, test } from 'vitest'
import { readAnswerCode, readAuth, readDisconnect } from './client-codes.ts'
import { PropertyCarrier } from './property-table.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP } = PropertyCarrier
const why = [0x1f, 0, 1, 97]
const user = [0x26, 0, 1, 97, 0, 1, 98]

/** What follows in the chunk must not matter. */
function within<Answer>(
  body: readonly number[],
  read: (buffer: Buffer, start: number, end: number) => Answer,
): Answer {
  return read(Buffer.from([9, 9, ...body, 0, 0, 0]), 2, 2 + body.length)
}

const answer = (carrier: PropertyCarrier, body: readonly number[]) =>
  within(body, (buffer, start, end) => readAnswerCode(buffer, start, end, carrier))

describe('an acknowledgement of MQTT 5', () => {
  test.each([
    ['without a code is a success', [0, 7], 0],
    ['with a code and no properties', [0, 7, 0x87], 0x87],
    ['with a code and an empty list', [0, 7, 0x10, 0], 0x10],
    ['with a reason and user properties', [0, 7, 0x80, 11, ...why, ...user], 0x80],
    ['with a code of another packet', [0, 7, 0x92], 'malformed'],
    ['with half of a packet id', [0], 'malformed'],
    ['with bytes after its properties', [0, 7, 0, 0, 0], 'malformed'],
    ['with properties that are cut short', [0, 7, 0, 4, 0x1f, 0, 1], 'malformed'],
    ['with two reasons', [0, 7, 0, 8, ...why, ...why], 'protocol-error'],
    ['with a property of CONNECT', [0, 7, 0, 3, 0x21, 0, 1], 'protocol-error'],
  ])('%s', (_what, body, code) => {
    expect(answer(PUBACK, body)).toBe(code)
    expect(answer(PUBREC, body)).toBe(code)
  })

  test.each([PUBREL, PUBCOMP])(
    'PUBREL or PUBCOMP has only the codes 0 and 0x92 (%i)',
    (carrier) => {
      expect(answer(carrier, [0, 7, 0x92, 0])).toBe(0x92)
      expect(answer(carrier, [0, 7, 0])).toBe(0)
      expect(answer(carrier, [0, 7, 0x10])).toBe('malformed')
    },
  )
})

describe('DISCONNECT of MQTT 5', () => {
  test.each([
    ['without a body', [], { code: 0, sessionExpiryS: undefined }],
    ['with a code', [4], { code: 4, sessionExpiryS: undefined }],
    ['with an expiry', [0, 5, 0x11, 0, 0, 1, 0], { code: 0, sessionExpiryS: 256 }],
    ['with an expiry of 0', [4, 5, 0x11, 0, 0, 0, 0], { code: 4, sessionExpiryS: 0 }],
    ['with a code of the server', [0x8b], 'malformed'],
    ['with a server reference', [0, 4, 0x1c, 0, 1, 97], 'protocol-error'],
    ['with bytes after its properties', [0, 0, 0], 'malformed'],
  ])('%s', (_what, body, frame) => {
    expect(within(body, readDisconnect)).toEqual(frame)
  })

  test('has no expiry of an earlier DISCONNECT', () => {
    within([0, 5, 0x11, 0, 0, 1, 0], readDisconnect)
    expect(within([], readDisconnect)).toEqual({ code: 0, sessionExpiryS: undefined })
    expect(within([4], readDisconnect)).toEqual({ code: 4, sessionExpiryS: undefined })
  })
})

describe('AUTH of MQTT 5', () => {
  const method = [0x15, 0, 1, 109]
  test.each([
    [
      'with method and data',
      [0x18, 9, ...method, 0x16, 0, 2, 0, 255],
      { code: 0x18, method: 'm', data: Buffer.from([0, 255]) },
    ],
    ['that re-authenticates', [0x19, 4, ...method], { code: 0x19, method: 'm', data: undefined }],
    ['of success, which only a server may send', [0, 4, ...method], 'malformed'],
    ['without a body, which means success', [], 'malformed'],
    ['without a method', [0x18, 0], 'protocol-error'],
    ['without properties', [0x18], 'protocol-error'],
  ])('%s', (_what, body, frame) => {
    expect(within(body, readAuth)).toEqual(frame)
  })
})
