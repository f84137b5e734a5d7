import { describe, expect, it } from 'vitest'
import { clientsDue, TICK_MS } from './pace.ts'

/** Clients per tick until all have had their turn; each tick comes so late. */
function turns(clients: number, msMax: number, clientsPerSecond: number, tickMs: number): number[] {
  const sizes: number[] = []
  for (let left = clients, leftMs = msMax; left > 0; leftMs -= tickMs) {
    const due = clientsDue(left, { sinceMs: tickMs, leftMs }, clientsPerSecond)
    sizes.push(due)
    left -= due
  }
  return sizes
}

describe('clients that a draining node closes', () => {
  it('are closed at the configured rate when the time suffices', () => {
    const sizes = turns(1_000, 60_000, 500, TICK_MS)
    expect(new Set(sizes)).toEqual(new Set([10]))
    expect(sizes).toHaveLength(100)
  })

  it.each([TICK_MS, 3 * TICK_MS])(
    'are closed evenly, at a higher rate, when the time does not suffice (ticks of %i ms)',
    (tickMs) => {
      const sizes = turns(10_000, 2_000, 500, tickMs)
      const perTick = (10_000 * tickMs) / 2_000
      expect(Math.max(...sizes)).toBeLessThanOrEqual(perTick * 1.5 + 1)
      expect(sizes.length * tickMs).toBeLessThanOrEqual(2_000 + tickMs)
    },
  )

  it('are not all closed at once when one tick is late', () => {
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: 10_000 }, 500)).toBe(10)
    expect(clientsDue(900, { sinceMs: 5_000, leftMs: 10_000 }, 500)).toBe(10)
    expect(clientsDue(9_000, { sinceMs: 5_000, leftMs: 10_000 }, 500)).toBe(90)
  })

  it('are all closed when the time is over, or when there is no rate', () => {
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: 0 }, 500)).toBe(900)
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: -5 }, 500)).toBe(900)
    expect(clientsDue(900, { sinceMs: 0, leftMs: 10_000 }, Infinity)).toBe(900)
  })
})
