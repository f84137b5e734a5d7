/** A soak plan follows from its seed alone, and some seeds together cover every kind of fault. */
import { expect, it } from 'vitest'
import { FAULTS, scopeOf } from './fault-plan.ts'
import { drawPlan } from './plan.ts'

const seeds = Array.from({ length: 30 }, (_, seed) => seed)

it('a seed gives the same soak plan each time, and another seed gives another plan', () => {
  const [one, again, other] = [7, 7, 8].map((seed) => drawPlan({ seed, seconds: 30 }))
  expect(one).toEqual(again)
  expect(one?.faults).not.toEqual(other?.faults)
  expect(one?.devices).not.toEqual(other?.devices)
})

it('soak plans contain every kind of fault, each for an existing client', () => {
  const plans = seeds.map((seed) => drawPlan({ seed, seconds: 20 }))
  const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)))
  expect([...kinds].toSorted()).toEqual(Object.keys(FAULTS).toSorted())
  for (const { faults, devices } of plans)
    for (const { client } of faults) expect(devices.some(({ id }) => id === client)).toBe(true)
})

it('in a soak plan, a fault of a node or of Redis ends before the next fault of the same target begins', () => {
  for (const { faults } of seeds.map((seed) => drawPlan({ seed, seconds: 20 }))) {
    const endsAt = new Map<string, number>()
    for (const { kind, node, atMs, durationMs } of faults) {
      const scope = scopeOf(kind)
      if (scope === 'client') continue
      const place = scope === 'node' ? `node ${node}` : scope
      expect(atMs).toBeGreaterThan(endsAt.get(place) ?? 0)
      endsAt.set(place, atMs + durationMs)
    }
  }
})

it('a soak plan contains only the requested kinds of faults', () => {
  const { faults } = drawPlan({ seed: 1, seconds: 20, kinds: ['client-drop'] })
  expect(faults.length).toBeGreaterThan(10)
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(['client-drop']))
})
