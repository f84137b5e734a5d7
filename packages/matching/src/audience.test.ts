import type { QoS } from '@breakwater/mqtt'
import { describe, expect, it } from 'vitest'
import { Audience } from './audience.ts'
import type { Target } from './matches.ts'

function newTargets(count: number): Target[] {
  return Array.from({ length: count }, () => ({ matchStamp: 0, matchIndex: 0 }))
}

/** A fixed walk through all numbers below `count`, which is a power of two. */
function scattered(count: number): number[] {
  return Array.from({ length: count }, (_, at) => (at * 37 + 11) & (count - 1))
}

describe('an audience', () => {
  it('has the right targets while it grows and shrinks', () => {
    const targets = newTargets(64)
    const expected = new Map<Target, QoS>()
    const audience = new Audience<Target>()
    const check = (): void => {
      expect(audience.size).toBe(expected.size)
      const { targets: members, qos } = audience.matches
      expect(new Map(members.map((member, at) => [member, qos[at]]))).toEqual(expected)
      for (const target of targets) expect(audience.qosOf(target)).toBe(expected.get(target))
    }
    for (const [at, target] of targets.entries()) {
      audience.set(target, (at % 3) as QoS)
      expected.set(target, (at % 3) as QoS)
      check()
    }
    for (const target of targets) {
      audience.set(target, 2)
      expected.set(target, 2)
    }
    check()
    for (const at of scattered(64)) {
      for (const target of targets.slice(at, at + 1)) {
        expect(audience.delete(target)).toBe(true)
        expect(audience.delete(target)).toBe(false)
        expected.delete(target)
      }
      check()
    }
  })

  it('does not change results that it has returned', () => {
    const [first, second, third] = newTargets(3) as [Target, Target, Target]
    const audience = new Audience<Target>()
    audience.set(first, 0)
    audience.set(second, 1)
    const before = audience.matches
    expect(audience.matches).toBe(before)
    expect(audience.delete(third)).toBe(false)
    expect(audience.matches).toBe(before)
    audience.set(third, 2)
    audience.delete(first)
    expect(before).toEqual({ targets: [first, second], qos: [0, 1] })
    expect(audience.matches.targets).toEqual([third, second])
  })
})
