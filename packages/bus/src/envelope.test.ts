import { describe, expect, it } from 'vitest'
import {
  decodeMessage,
  decodeMessages,
  encodeMessage,
  encodeMessages,
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
const properties = Buffer.from([0x26, 0, 1, 97, 0, 1, 98])
const later = 2 ** 48 - 1
const extended = [
  new Message('p', Buffer.from('properties'), 0, true, undefined, properties),
  new Message('é', Buffer.alloc(0), 1, false, undefined, undefined, 0),
  new Message('b', Buffer.from('both'), 2, true, undefined, Buffer.alloc(70_000, 1), later),
]

describe('a bus envelope', () => {
  it('decodes to the encoded messages, in order', () => {
    expect(decodeMessages(encodeMessages(messages))).toEqual(messages)
    expect(decodeMessages(encodeMessages([]))).toEqual([])
  })

  it.each([0, 1, 2] as const)('keeps QoS %i with and without retain', (qos: QoS) => {
    for (const retain of [true, false]) {
      const message = new Message('t', Buffer.from('m'), qos, retain)
      expect(decodeMessage(encodeMessage(message))).toEqual(message)
    }
  })

  it('that is cut anywhere is refused, and no byte beyond its end is read', () => {
    const parts = [one, ...extended.slice(0, 2), two]
    const whole = encodeMessages(parts)
    const complete = parts.map((_, index) => encodeMessages(parts.slice(0, index)).length)
    for (let length = 1; length < whole.length; length += 1) {
      if (complete.includes(length)) continue
      expect(() => decodeMessages(whole.subarray(0, length))).toThrow(EnvelopeError)
    }
  })

  it('decodes messages with properties and expiry among messages without them', () => {
    const mixed = [...extended, ...messages, ...extended]
    expect(decodeMessages(encodeMessages(mixed))).toEqual(mixed)
  })

  it('has version 2 only with properties or an expiry', () => {
    expect(messages.map((message) => encodeMessage(message)[0])).toEqual([1, 1, 1, 1])
    expect(extended.map((message) => encodeMessage(message)[0])).toEqual([2, 2, 2])
  })

  it.each([0, 3, 255])('of version %i is refused, and the reason names the version', (version) => {
    const bytes = encodeMessage(one)
    bytes[0] = version
    expect(() => decodeMessages(bytes)).toThrow(`version ${version} is not readable by this node`)
  })

  it.each([
    [1, 8],
    [1, 16],
    [2, 32],
    [2, 128],
    [1, 3],
    [2, 3],
  ])('of version %i with flags %i is refused', (version, flags) => {
    const bytes = encodeMessage(one)
    bytes[0] = version
    bytes[1] = flags
    expect(() => decodeMessages(bytes)).toThrow(EnvelopeError)
  })

  it('of one message contains exactly one message', () => {
    expect(() => decodeMessage(Buffer.alloc(0))).toThrow(EnvelopeError)
    expect(() => decodeMessage(encodeMessages(messages))).toThrow(EnvelopeError)
  })
})
