import { describe, expect, it } from 'vitest'
import { EnvelopeError } from './envelope.ts'
import { decodeFrame, encodeFrame } from './frame.ts'
import { Message } from './message.ts'
import { Run } from './run.ts'

const header = { from: 'node', sequence: 1, generation: 1, after: 0 }
const messages = [
  new Message('a/b', Buffer.from('one'), 0, false),
  new Message('é/😀', Buffer.alloc(0), 0, true),
  new Message('x'.repeat(20_000), Buffer.alloc(3_000, 'y'), 0, false),
]

function runOf([first, ...others]: readonly Message[]): Run {
  const run = new Run(first ?? new Message('', Buffer.alloc(0), 0, false))
  for (const message of others) expect(run.add(message)).toBe(true)
  return run
}

describe('a run of bus messages', () => {
  it('is decoded from a frame as its messages, numbered consecutively', () => {
    const signal = { kind: 'confirmed', version: 7 } as const
    const frame = encodeFrame(header, [
      { number: 5, content: runOf(messages) },
      { number: 8, content: signal },
    ])
    expect(decodeFrame(frame).items).toEqual([
      ...messages.map((content, index) => ({ number: 5 + index, content })),
      { number: 8, content: signal },
    ])
  })

  it('accepts one message of any size, and otherwise at most 64 KiB', () => {
    const large = new Message('t', Buffer.alloc(200_000), 0, false)
    const run = new Run(large)
    expect(run.add(large)).toBe(false)
    const one = new Message('a/b', Buffer.from('one'), 0, false)
    const small = new Run(one)
    let taken = 1
    while (small.add(one)) taken += 1
    expect(small.count).toBe(taken)
    expect(small.bytes.length).toBeLessThanOrEqual(65_536)
    expect(small.bytes.length).toBeGreaterThan(65_000)
  })

  it('keeps properties and expiry, and gives its frame version 2', () => {
    const properties = Buffer.from([0x01, 1])
    const extended = [
      ...messages,
      new Message('p', Buffer.from('m'), 0, true, undefined, properties),
      new Message('é', Buffer.alloc(0), 0, false, undefined, undefined, 2 ** 48 - 1),
      ...messages.slice(0, 2),
    ]
    const frame = encodeFrame(header, [{ number: 1, content: runOf(extended) }])
    expect(frame[0]).toBe(2)
    expect(decodeFrame(frame).items.map(({ content }) => content)).toEqual(extended)
    const plain = encodeFrame(header, [{ number: 1, content: runOf(messages) }])
    expect(plain[0]).toBe(1)
  })

  it('that is cut is refused', () => {
    const whole = encodeFrame(header, [{ number: 1, content: runOf(messages.slice(0, 2)) }])
    const bare = encodeFrame(header, []).length
    for (let length = bare + 1; length < whole.length; length += 1)
      expect(() => decodeFrame(whole.subarray(0, length))).toThrow(EnvelopeError)
  })
})
