import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { FrameQueue } from './frame-queue.ts'

const frame = (fill: number, length = 10): Buffer => Buffer.alloc(length, fill)

describe('the queue of outgoing frames', () => {
  test('gives out frames in order, as many at once as fit into one write', () => {
    const queue = new FrameQueue()
    for (let fill = 1; fill <= 5; fill += 1) queue.push(frame(fill), 0, 0)
    expect(queue.length).toBe(5)
    expect(queue.take(25)).toEqual(Buffer.concat([frame(1), frame(2)]))
    expect(queue.length).toBe(3)
    queue.push(frame(6), 0, 0)
    expect(queue.take(1_000)).toEqual(Buffer.concat([3, 4, 5, 6].map((fill) => frame(fill))))
    expect(queue.length).toBe(0)
  })

  test('gives out a frame that is larger than a write alone and unchanged', () => {
    const queue = new FrameQueue()
    const large = frame(1, 100)
    queue.push(large, 0, 0)
    queue.push(frame(2), 0, 0)
    expect(queue.take(50)).toBe(large)
    expect(queue.take(50)).toEqual(frame(2))
  })

  test('gives out a copy of a shared frame with the packet id of this connection', () => {
    const shared = frame(0)
    const queue = new FrameQueue()
    const other = new FrameQueue()
    queue.push(shared, 3, 0x0102)
    other.push(shared, 3, 0xfffe)
    other.push(shared, 3, 7)
    expect([...queue.take(100)]).toEqual([0, 0, 0, 1, 2, 0, 0, 0, 0, 0])
    expect([...other.take(100)].slice(3, 15)).toEqual([255, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])
    expect(shared).toEqual(frame(0))
  })

  test('is empty after it was cleared', () => {
    const queue = new FrameQueue()
    queue.push(frame(1), 0, 0)
    queue.clear()
    expect(queue.length).toBe(0)
    queue.push(frame(2), 0, 0)
    expect(queue.take(100)).toEqual(frame(2))
  })
})

test('a queue of outgoing frames that is never empty keeps no reference to frames that have left', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const queue = new FrameQueue()
  const left: WeakRef<Buffer>[] = []
  queue.push(frame(0), 0, 0)
  // A client that is always one frame behind.
  for (let count = 0; count < 5_000; count += 1) {
    const next = frame(1)
    left.push(new WeakRef(next))
    queue.push(next, 0, 0)
    queue.take(10)
  }
  expect(queue.length).toBe(1)
  // References are kept to the end of the turn in which they were made.
  await turn()
  collectGarbage()
  const held = left.filter((reference) => reference.deref() !== undefined)
  expect(held.length).toBeLessThan(2_500)
  expect(queue.take(10)).toEqual(frame(1))
})
