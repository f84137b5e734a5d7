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

describe('clients that a node lets go of', () => {
  it('go at the rate where the time suffices', () => {
    const sizes = turns(1_000, 60_000, 500, TICK_MS)
    expect(new Set(sizes)).toEqual(new Set([10]))
    expect(sizes).toHaveLength(100)
  })

  it.each([TICK_MS, 3 * TICK_MS])(
    'go evenly, but faster, where it does not (ticks of %i ms)',
    (tickMs) => {
      const sizes = turns(10_000, 2_000, 500, tickMs)
      const perTick = (10_000 * tickMs) / 2_000
      expect(Math.max(...sizes)).toBeLessThanOrEqual(perTick * 1.5 + 1)
      expect(sizes.length * tickMs).toBeLessThanOrEqual(2_000 + tickMs)
    },
  )

  it('do not go all at once when one tick comes late', () => {
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: 10_000 }, 500)).toBe(10)
    expect(clientsDue(900, { sinceMs: 5_000, leftMs: 10_000 }, 500)).toBe(10)
    expect(clientsDue(9_000, { sinceMs: 5_000, leftMs: 10_000 }, 500)).toBe(90)
  })

  it('all clients are closed when the drain time is over, or when no rate is set', () => {
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: 0 }, 500)).toBe(900)
    expect(clientsDue(900, { sinceMs: TICK_MS, leftMs: -5 }, 500)).toBe(900)
    expect(clientsDue(900, { sinceMs: 0, leftMs: 10_000 }, Infinity)).toBe(900)
  })
})
