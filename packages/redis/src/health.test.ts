import { describe, expect, it } from 'vitest'
import { lacksOf, unfitReason, type RedisFacts } from './health.ts'

const fit: RedisFacts = {
  version: '7.0.15',
  maxmemoryPolicy: 'noeviction',
  connectedSlaves: 0,
  mode: 'standalone',
  isReplica: false,
  appendOnly: true,
}

describe('a Redis server', () => {
  it.each(['7.0.0', '7.4.1', '8.2.0', '10.0.0'])('of version %s is supported', (version) => {
    expect(unfitReason({ ...fit, version }, false)).toBeUndefined()
  })

  it.each(['6.2.14', '2.8.0'])('of version %s is too old', (version) => {
    expect(unfitReason({ ...fit, version }, false)).toBe(
      `Redis ${version} is too old: Breakwater needs 7.0 or newer`,
    )
  })

  it.each(['allkeys-lru', 'volatile-ttl', 'allkeys-random'])(
    'with maxmemory-policy %s is refused in one line that names the right setting',
    (maxmemoryPolicy) => {
      const reason = unfitReason({ ...fit, maxmemoryPolicy }, false)
      expect(reason).toContain(`maxmemory-policy is ${maxmemoryPolicy}`)
      expect(reason).toContain('set maxmemory-policy noeviction')
      expect(reason).not.toContain('\n')
    },
  )

  it('in a Redis Cluster needs a redis-cluster:// address', () => {
    const facts = { ...fit, mode: 'cluster' }
    expect(unfitReason(facts, true)).toBeUndefined()
    expect(unfitReason(facts, false)).toContain('use redis-cluster://')
  })

  it('without the replicas or the append-only file that the acknowledgement level needs is reported, and the node may start', () => {
    const facts = { ...fit, appendOnly: false, connectedSlaves: 1 }
    expect(unfitReason(facts, false)).toBeUndefined()
    const lacks = lacksOf(facts, { clustered: false, disk: true, replicas: 2 })
    expect(lacks.appendonly).toContain('set appendonly yes')
    expect(lacks.replicas).toMatch(/^1 replicas .* waits for 2/)
    expect(Object.values(lacksOf(facts, { clustered: false }))).toEqual(Array(5).fill(undefined))
  })

  it.each([
    { ...fit, version: '' },
    { ...fit, maxmemoryPolicy: '' },
  ])('without version information is refused', (facts) => {
    expect(unfitReason(facts, false)).toContain('INFO')
  })
})
