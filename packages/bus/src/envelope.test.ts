import { describe, expect, it } from 'vitest'
import {
  decodeMessage,
  decodeMessages,
  encodeMessage,
  encodeMessages,
  ENVELOPE_VERSION,
  EnvelopeError,
} from './envelope.ts'
import { Message } from './message.ts'
import type { QoS } from '@breakwater/mqtt'

const one = new Message('a', Buffer.from('one'), 0, false)
const two = new Message('é/😀', Buffer.from([0, 255, 10]), 1, true)
const messages = [
  one,
  two,
  new Message('x'.repeat(65_535), Buffer.alloc(0), 2, true),
  new Message('a', Buffer.alloc(100_000, 7), 2, false),
]

describe('an envelope', () => {
  it('gives back what was put into it, in order', () => {
    expect(decodeMessages(encodeMessages(messages))).toEqual(messages)
    expect(decodeMessages(encodeMessages([]))).toEqual([])
  })

  it.each([0, 1, 2] as const)('keeps QoS %i with and without retain', (qos: QoS) => {
    for (const retain of [true, false]) {
      const message = new Message('t', Buffer.from('m'), qos, retain)
      expect(decodeMessage(encodeMessage(message))).toEqual(message)
    }
  })

  it('that is cut anywhere is refused, and nothing is read beyond its end', () => {
    const whole = encodeMessages([one, two])
    const first = encodeMessage(one).length
    for (let length = 1; length < whole.length; length += 1) {
      if (length === first) continue
      expect(() => decodeMessages(whole.subarray(0, length))).toThrow(EnvelopeError)
    }
  })

  it('of another version is refused with the version in the reason', () => {
    const bytes = encodeMessage(one)
    bytes[0] = ENVELOPE_VERSION + 1
    expect(() => decodeMessages(bytes)).toThrow('version 2 is not readable by this node')
  })

  it('of one message holds exactly one', () => {
    expect(() => decodeMessage(Buffer.alloc(0))).toThrow(EnvelopeError)
    expect(() => decodeMessage(encodeMessages(messages))).toThrow(EnvelopeError)
  })
})
