import { describe, expect, test } from 'vitest'
import { Inflight } from './inflight.ts'

describe('the inflight window', () => {
  test('has room for a fixed number of exchanges, and regains room when exchanges end', () => {
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

  test('has no room for an exchange that was released on an earlier connection, until its PUBCOMP', () => {
    const inflight = new Inflight(2)
    inflight.restoreReleased(7)
    expect(inflight.room).toBe(1)
    expect(inflight.has(7)).toBe(true)
    expect(inflight.step(7, 'pubrec').action).toBe('answer-pubrel')
    expect(inflight.step(7, 'pubcomp').action).toBe('complete')
    expect([inflight.has(7), inflight.room]).toEqual([false, 2])
  })

  test('is not changed by a packet without an exchange', () => {
    const inflight = new Inflight(2)
    expect(inflight.step(9, 'puback')).toEqual({ action: 'ignore', position: 0, bytes: 0 })
    expect(inflight.step(9, 'pubrec')).toEqual({ action: 'answer-pubrel', position: 0, bytes: 0 })
    expect(inflight.size).toBe(0)
    inflight.start(1, 1, 1)
    expect(inflight.step(1, 'puback').action).toBe('settle')
    expect(inflight.step(1, 'puback').action).toBe('ignore')
  })

  test('closes the connection at a packet of the other QoS, and keeps the exchange for the next connection', () => {
    const inflight = new Inflight(2)
    inflight.start(1, 1, 1)
    inflight.start(2, 2, 2)
    for (const packet of ['pubrec', 'pubcomp'] as const)
      expect(inflight.step(1, packet).action).toBe('close')
    for (const packet of ['puback', 'pubcomp'] as const)
      expect(inflight.step(2, packet).action).toBe('close')
    inflight.step(2, 'pubrec')
    expect(inflight.step(2, 'puback').action).toBe('close')
    expect(inflight.size).toBe(2)
  })

  test('ignores one PUBCOMP of an unknown exchange, even when another exchange has its packet id by then', () => {
    for (const qos of [1, 2] as const) {
      const inflight = new Inflight(2)
      expect(inflight.step(5, 'pubrec').action).toBe('answer-pubrel')
      inflight.start(5, 1, qos)
      expect(inflight.step(5, 'pubcomp').action).toBe('ignore')
      expect(inflight.step(5, 'pubcomp').action).toBe('close')
    }
  })

  test('remembers no more unknown exchanges than it has room for', () => {
    const inflight = new Inflight(2)
    for (const packetId of [5, 6, 7]) inflight.step(packetId, 'pubrec')
    for (const packetId of [6, 7]) inflight.start(packetId, 1, 1)
    expect(inflight.step(6, 'pubcomp').action).toBe('ignore')
    expect(inflight.step(7, 'pubcomp').action).toBe('close')
  })

  test('with reused packet ids ignores the first acknowledgement of the other QoS as a late one, and closes at the second', () => {
    const inflight = new Inflight(2, { isReused: true })
    inflight.start(1, 1, 1)
    inflight.start(2, 2, 2)
    expect(inflight.step(1, 'pubrec').action).toBe('ignore')
    expect(inflight.step(1, 'pubrec').action).toBe('close')
    expect(inflight.step(2, 'puback').action).toBe('ignore')
    expect(inflight.step(2, 'pubrec').action).toBe('release')
    expect(inflight.step(2, 'puback').action).toBe('close')
    expect(inflight.step(1, 'puback').action).toBe('settle')
  })
})
