import { describe, expect, it } from 'vitest'
import { EnvelopeError } from './envelope.ts'
import { decodeFrame, encodeFrame } from './frame.ts'
import type { FrameItem } from './frame-item.ts'
import { Message } from './message.ts'
import type { QoS } from '@breakwater/mqtt'
import { SharedMessage } from './shared-message.ts'

const header = { from: 'node-é😀', sequence: 4_294_967_295, generation: 7, after: 2 ** 48 - 1 }
const items: readonly FrameItem[] = [
  { number: 2 ** 40, content: new Message('a', Buffer.from('one'), 0, false) },
  { number: 2 ** 40 + 1, content: { kind: 'confirmed', version: Number.MAX_SAFE_INTEGER } },
  { number: 2 ** 40 + 9, content: new Message('é/😀', Buffer.from([0, 255, 10]), 1, true) },
  { number: 2 ** 40 + 10, content: new Message('x'.repeat(65_535), Buffer.alloc(0), 2, true) },
  {
    number: 2 ** 40 + 11,
    content: new Message('q', Buffer.from('queued'), 1, false, [
      { clientId: 'é😀', epoch: Number.MAX_SAFE_INTEGER, position: 2 ** 48 - 1, qos: 1 },
      { clientId: 'x'.repeat(65_535), epoch: 0, position: 0, qos: 2 },
    ]),
  },
  {
    number: 2 ** 40 + 2 ** 31,
    content: new Message('€'.repeat(20_000), Buffer.alloc(9), 2, false),
  },
]
const shared: readonly FrameItem[] = [
  {
    number: 1,
    content: new SharedMessage({
      message: new Message('é/😀', Buffer.from([0, 255, 10]), 2, true),
      filter: '$share/😀/é/+',
      position: 2 ** 48 - 1,
      hash: 2 ** 32 - 1,
      passedOn: false,
    }),
  },
  { number: 2, content: { kind: 'assigned', filter: `$share/g/${'€'.repeat(20_000)}` } },
  {
    number: 3,
    content: new SharedMessage({
      message: new Message('t', Buffer.alloc(0), 0, false),
      filter: '$share/g/t',
      position: 0,
      hash: 0,
      passedOn: true,
    }),
  },
]
const properties = Buffer.from([0x26, 0, 1, 97, 0, 1, 98])
const place = { clientId: 'é', epoch: 1, position: 2, qos: 1 } as const
const extended: readonly FrameItem[] = [
  new Message('p', Buffer.from('properties'), 1, true, undefined, properties),
  new Message('e', Buffer.alloc(0), 2, false, [place], undefined, 2 ** 48 - 1),
  new SharedMessage({
    message: new Message('é', Buffer.from('both'), 2, true, undefined, Buffer.alloc(70_000), 0),
    filter: '$share/g/é',
    position: 1,
    hash: 1,
    passedOn: true,
  }),
].map((content, number) => ({ number, content }))

describe('a bus frame', () => {
  it('decodes to the encoded items, in order, with their numbers', () => {
    expect(decodeFrame(encodeFrame(header, items))).toEqual({ ...header, items })
  })

  it('decodes the items for members of shared subscriptions', () => {
    const all = [...shared, { number: 4, content: new Message('t', Buffer.from('m'), 1, false) }]
    expect(decodeFrame(encodeFrame(header, all))).toEqual({ ...header, items: all })
  })

  it('decodes messages with properties and expiry among messages without them', () => {
    for (const item of extended)
      expect(decodeFrame(encodeFrame(header, [item]))).toEqual({ ...header, items: [item] })
    const all = [...extended, ...shared.map((item) => ({ ...item, number: item.number + 9 }))]
    expect(decodeFrame(encodeFrame(header, all))).toEqual({ ...header, items: all })
  })

  it('has version 2 only when a message has properties or an expiry', () => {
    for (const some of [items, shared]) expect(encodeFrame(header, some)[0]).toBe(1)
    for (const item of extended) expect(encodeFrame(header, [item])[0]).toBe(2)
  })

  it('that is cut within properties, expiry or later bytes is refused', () => {
    const start = encodeFrame(header, []).length
    for (const item of extended.slice(0, 2)) {
      const whole = encodeFrame(header, [item])
      for (let length = start + 1; length < whole.length; length += 1)
        expect(() => decodeFrame(whole.subarray(0, length))).toThrow(EnvelopeError)
    }
  })

  it.each([0, 4, 255])('with extras of kind %i is refused', (which) => {
    const bytes = encodeFrame(header, extended.slice(0, 1))
    bytes[bytes.length - properties.length - 5] = which
    expect(() => decodeFrame(bytes)).toThrow(EnvelopeError)
  })

  it.each([0, 1, 2] as const)('keeps QoS %i with and without retain', (qos: QoS) => {
    for (const retain of [true, false]) {
      const content = new Message('t', Buffer.from('m'), qos, retain)
      const [item] = decodeFrame(encodeFrame(header, [{ number: 1, content }])).items
      expect(item).toEqual({ number: 1, content })
    }
  })

  it('that is cut within an item is refused, and no byte beyond its end is read', () => {
    const [first, signal, second] = items as [FrameItem, FrameItem, FrameItem]
    const whole = encodeFrame(header, [first, signal, second])
    const complete = [[], [first], [first, signal]].map((some) => encodeFrame(header, some).length)
    for (let length = 0; length < whole.length; length += 1)
      if (!complete.includes(length))
        expect(() => decodeFrame(whole.subarray(0, length))).toThrow(EnvelopeError)
  })

  it('that is cut within a shared item is refused', () => {
    const [only, signal] = shared as [FrameItem, FrameItem]
    const start = encodeFrame(header, []).length
    for (const item of [only, signal]) {
      const whole = encodeFrame(header, [item])
      for (let length = start + 1; length < whole.length; length += 1)
        expect(() => decodeFrame(whole.subarray(0, length))).toThrow(EnvelopeError)
    }
  })

  it('that is cut within the queue positions of a message is refused', () => {
    const queued = items.filter(({ content }) => content instanceof Message && content.places)
    const whole = encodeFrame(header, queued)
    const bare = encodeFrame(header, []).length
    const cuts = [bare + 1, whole.length - 65_535 - 17, whole.length - 65_536, whole.length - 1]
    for (const length of cuts)
      expect(() => decodeFrame(whole.subarray(0, length))).toThrow(EnvelopeError)
  })

  it.each([0, 3, 255])('of version %i is refused, and the reason names the version', (version) => {
    const bytes = encodeFrame(header, items)
    bytes[0] = version
    expect(() => decodeFrame(bytes)).toThrow(
      `frame version ${version} is not readable by this node`,
    )
  })

  it.each([3, 7, 8, 11, 32, 67, 72, 130, 131])('with an item of kind %i is refused', (kind) => {
    const bytes = encodeFrame(header, items.slice(0, 1))
    bytes[encodeFrame(header, []).length] = kind
    expect(() => decodeFrame(bytes)).toThrow(EnvelopeError)
  })
})
