import { describe, expect, test } from 'vitest'
import { Inflight } from './inflight.ts'

describe('the window', () => {
  test('has room for so many exchanges, and gets it back when they end', () => {
    const inflight = new Inflight(2)
    inflight.start(1, 1, 1, 50)
    inflight.start(2, 2, 2, 60)
    expect([inflight.size, inflight.room]).toEqual([2, 0])
    expect(inflight.step(1, 'puback')).toEqual({ action: 'settle', position: 1, bytes: 50 })
    expect([inflight.size, inflight.room]).toEqual([1, 1])
    expect(inflight.step(2, 'pubrec')).toEqual({ action: 'release', position: 2, bytes: 60 })
    expect(inflight.room).toBe(1)
    expect(inflight.step(2, 'pubcomp')).toEqual({ action: 'complete', position: 2, bytes: 60 })
    expect([inflight.size, inflight.room]).toEqual([0, 2])
  })

  test('has no room for what was released before, until it is completed', () => {
    const inflight = new Inflight(2)
    inflight.restoreReleased(7)
    expect(inflight.room).toBe(1)
    expect(inflight.has(7)).toBe(true)
    expect(inflight.step(7, 'pubrec').action).toBe('answer-pubrel')
    expect(inflight.step(7, 'pubcomp').action).toBe('complete')
    expect([inflight.has(7), inflight.room]).toEqual([false, 2])
  })

  test('is not changed by a packet for nothing, or of the other QoS', () => {
    const inflight = new Inflight(2)
    expect(inflight.step(9, 'puback')).toEqual({ action: 'ignore', position: 0, bytes: 0 })
    expect(inflight.step(9, 'pubrec')).toEqual({ action: 'answer-pubrel', position: 0, bytes: 0 })
    expect(inflight.size).toBe(0)
    inflight.start(1, 1, 1)
    expect(inflight.step(1, 'pubrec').action).toBe('ignore')
    expect(inflight.step(1, 'pubcomp').action).toBe('ignore')
    inflight.start(2, 2, 2)
    expect(inflight.step(2, 'puback').action).toBe('ignore')
    expect(inflight.size).toBe(2)
  })
})
