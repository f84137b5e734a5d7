import { describe, expect, it } from 'vitest'
import { LineRate } from './line-rate.ts'

/** In the time of the test: the buckets were filled when they were made. */
const now = (): number => performance.now()

describe('the rate of one kind of log line', () => {
  it('is bounded for each client, and the suppressed lines of one client do not suppress lines of another', () => {
    const rate = new LineRate({ perSecond: 100, perSubjectPerSecond: 10 })
    const startedAt = now()
    const written = (client: string): number =>
      Array.from({ length: 50 }, () => rate.takes(client, startedAt)).filter(Boolean).length
    expect(written('a')).toBe(10)
    expect(written('b')).toBe(10)
    expect(rate.takeSuppressed()).toEqual({ lines: 80, clients: 2, orMore: false })
    expect(rate.takeSuppressed()).toBeUndefined()
    rate.takes('a', startedAt)
    expect(rate.takeSuppressed()).toEqual({ lines: 1, clients: 1, orMore: false })
  })

  it('is bounded for the node over all clients, and its table is bounded', () => {
    const rate = new LineRate({ perSecond: 100, perSubjectPerSecond: 10 })
    const startedAt = now()
    const clients = Array.from({ length: 5_000 }, (_, index) => `client ${index}`)
    expect(clients.filter((client) => rate.takes(client, startedAt))).toHaveLength(100)
    expect(rate.subjects).toBe(1_024)
    expect(rate.takeSuppressed()).toEqual({ lines: 4_900, clients: 4_900, orMore: true })
  })

  it('is one line per cause and interval for a kind with an interval', () => {
    const rate = new LineRate({ perSecond: 100, perSubjectPerSecond: 10, everyMs: 10_000 })
    const startedAt = now()
    const takes = (cause: string, afterMs: number): boolean =>
      rate.takes(cause, startedAt + afterMs)
    expect([takes('a', 0), takes('a', 0), takes('b', 0)]).toEqual([true, false, true])
    expect([takes('a', 9_000), takes('a', 10_001)]).toEqual([false, true])
  })

  it('is unbounded when the limits are 0', () => {
    const rate = new LineRate({ perSecond: 0, perSubjectPerSecond: 0 })
    const startedAt = now()
    expect(Array.from({ length: 5_000 }, () => rate.takes('a', startedAt)).every(Boolean)).toBe(
      true,
    )
  })
})
