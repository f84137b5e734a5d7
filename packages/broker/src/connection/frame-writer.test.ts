import { Writable } from 'node:stream'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Counter } from '@breakwater/metrics'
import { describe, expect, test } from 'vitest'
import { FrameWriter } from './frame-writer.ts'
import { TurnFlusher } from './turn-flusher.ts'

/** A socket that takes writes when it is told to; it is full from 100 bytes on. */
class Line extends Writable {
  readonly written: Buffer[] = []
  #taken: (() => void) | undefined
  isWilling = true

  constructor() {
    super({ highWaterMark: 100 })
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk)
    if (this.isWilling) done()
    else this.#taken = done
  }

  /** Takes what was written last. */
  takeOne(): void {
    this.#taken?.()
  }

  /** Takes what was written last, and what comes. */
  goOn(): void {
    this.isWilling = true
    this.takeOne()
  }
}

const BOUNDS = { outboundMessagesMax: 10, outboundBytesMax: 1_000 }

function setUp(bounds: Partial<typeof BOUNDS> = {}) {
  const line = new Line()
  const counters = { bytes: new Counter(), writes: new Counter() }
  const owner = {
    drains: 0,
    drained(): void {
      owner.drains += 1
    },
  }
  const flusher = new TurnFlusher()
  const writer = new FrameWriter(
    line as unknown as Duplex,
    flusher,
    { ...BOUNDS, ...bounds },
    counters,
    owner,
  )
  return { line, counters, owner, flusher, writer }
}

const frame = (length: number, fill = 1): Buffer => Buffer.alloc(length, fill)

describe('a socket that accepts all bytes', () => {
  test('gets the frames of one turn in one write at the end of the turn', async () => {
    const { line, writer, counters } = setUp()
    writer.write(frame(10, 1))
    writer.write(frame(10, 2))
    writer.writeShared(frame(10, 0), 2, 0x0304)
    expect(line.written).toEqual([])
    expect(writer.queuedBytes).toBe(30)
    await turn()
    expect(line.written).toHaveLength(1)
    expect(line.written[0]?.subarray(0, 20)).toEqual(Buffer.concat([frame(10, 1), frame(10, 2)]))
    expect([...(line.written[0]?.subarray(20, 26) ?? [])]).toEqual([0, 0, 3, 4, 0, 0])
    expect(writer.queuedBytes).toBe(0)
    expect([counters.writes.value, counters.bytes.value]).toEqual([1, 30])
  })

  test('is not saturated by a burst: queued frames are written in between', () => {
    const { line, writer } = setUp({ outboundMessagesMax: 3 })
    for (let count = 0; count < 8; count += 1) {
      expect(writer.saturated).toBe(false)
      writer.write(frame(10))
    }
    expect(line.written.length).toBeGreaterThan(0)
    expect(writer.full).toBe(false)
  })
})

describe('a socket that is full', () => {
  test('gets no more frames until it has accepted the pending ones, then the rest at once', async () => {
    const { line, writer, owner } = setUp()
    line.isWilling = false
    writer.write(frame(100))
    await turn()
    expect(writer.full).toBe(true)
    writer.write(frame(10, 2))
    writer.write(frame(10, 3))
    await turn()
    expect(line.written).toHaveLength(1)
    expect(writer.queuedBytes).toBe(20)
    line.goOn()
    await turn()
    expect(line.written.slice(1)).toEqual([Buffer.concat([frame(10, 2), frame(10, 3)])])
    expect(writer.full).toBe(false)
    expect([owner.drains, writer.drains]).toEqual([1, 1])
  })

  test.each([
    ['messages', { outboundMessagesMax: 3 }, 3],
    ['bytes', { outboundBytesMax: 30 }, 3],
  ])('is saturated when the bound of %s is reached, not earlier', async (_what, bounds, count) => {
    const { line, writer } = setUp(bounds)
    line.isWilling = false
    writer.write(frame(100))
    await turn()
    for (let index = 0; index < count; index += 1) {
      expect(writer.saturated).toBe(false)
      writer.write(frame(10))
    }
    expect(writer.saturated).toBe(true)
    line.goOn()
    await turn()
    expect(writer.saturated).toBe(false)
  })

  test('that fills up again emits no drain event', async () => {
    const { line, writer, owner } = setUp()
    line.isWilling = false
    writer.write(frame(100))
    await turn()
    writer.write(frame(200))
    const [first] = line.written
    expect(first).toHaveLength(100)
    // It takes the first write, and is full again with the second.
    line.takeOne()
    await turn()
    expect(line.written).toHaveLength(2)
    expect(writer.full).toBe(true)
    expect([owner.drains, writer.drains]).toEqual([0, 1])
  })
})

test('a frame writer writes neither discarded frames nor later ones', async () => {
  const { line, writer, owner } = setUp()
  line.isWilling = false
  writer.write(frame(100))
  await turn()
  writer.write(frame(10))
  writer.discard()
  writer.write(frame(10))
  expect(writer.queuedBytes).toBe(0)
  line.goOn()
  await turn()
  expect(line.written).toHaveLength(1)
  expect(owner.drains).toBe(0)
})

test('a fan-out to many sockets is written in portions, with other work in between', async () => {
  const flusher = new TurnFlusher()
  const counters = { bytes: new Counter(), writes: new Counter() }
  const owner = { drained: (): void => undefined }
  const writers = Array.from({ length: 1_500 }, () => {
    const line = new Line() as unknown as Duplex
    return new FrameWriter(line, flusher, BOUNDS, counters, owner)
  })
  for (const writer of writers) writer.write(frame(10))
  const seen: number[] = []
  while (counters.writes.value < writers.length) {
    await turn()
    seen.push(counters.writes.value)
  }
  expect(seen.length).toBeGreaterThan(2)
  expect(seen[0]).toBeLessThan(1_000)
})
