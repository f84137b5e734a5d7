import { describe, expect, it } from 'vitest'
import { unfitReason, type RedisFacts } from './health.ts'

const fit: RedisFacts = { version: '7.0.15', maxmemoryPolicy: 'noeviction', connectedSlaves: 0 }

describe('a Redis', () => {
  it.each(['7.0.0', '7.4.1', '8.2.0', '10.0.0'])('of version %s is fit', (version) => {
    expect(unfitReason({ ...fit, version })).toBeUndefined()
  })

  it.each(['6.2.14', '2.8.0'])('of version %s is too old', (version) => {
    expect(unfitReason({ ...fit, version })).toBe(
      `Redis ${version} is too old: Breakwater needs 7.0 or newer`,
    )
  })

  it.each(['allkeys-lru', 'volatile-ttl', 'allkeys-random'])(
    'with maxmemory-policy %s is refused in one line that says what to set',
    (maxmemoryPolicy) => {
      const reason = unfitReason({ ...fit, maxmemoryPolicy })
      expect(reason).toContain(`maxmemory-policy is ${maxmemoryPolicy}`)
      expect(reason).toContain('set maxmemory-policy noeviction')
      expect(reason).not.toContain('\n')
    },
  )

  it.each([
    { ...fit, version: '' },
    { ...fit, maxmemoryPolicy: '' },
  ])('that does not say what it is is refused', (facts) => {
    expect(unfitReason(facts)).toContain('INFO')
  })
})
