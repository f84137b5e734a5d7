/** What a seed decides: the same every time, and over some seeds everything. */
import { expect, it } from 'vitest'
import { FAULTS, scopeOf } from './fault-plan.ts'
import { drawPlan } from './plan.ts'

const seeds = Array.from({ length: 30 }, (_, seed) => seed)

it('a seed draws the same round again, another seed another one', () => {
  const [one, again, other] = [7, 7, 8].map((seed) => drawPlan({ seed, seconds: 30 }))
  expect(one).toEqual(again)
  expect(one?.faults).not.toEqual(other?.faults)
  expect(one?.devices).not.toEqual(other?.devices)
})

it('every kind of fault is drawn, for clients that are there', () => {
  const plans = seeds.map((seed) => drawPlan({ seed, seconds: 20 }))
  const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)))
  expect([...kinds].toSorted()).toEqual(Object.keys(FAULTS).toSorted())
  for (const { faults, devices } of plans)
    for (const { client } of faults) expect(devices.some(({ id }) => id === client)).toBe(true)
})

it('what is done to one node, or to Redis, is over before the next is', () => {
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

it('only the kinds that are asked for are drawn', () => {
  const { faults } = drawPlan({ seed: 1, seconds: 20, kinds: ['client-drop'] })
  expect(faults.length).toBeGreaterThan(10)
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(['client-drop']))
})
