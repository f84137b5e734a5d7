/** The choice of a member: for any group and any message one node and one member, the same wherever it is asked. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chooseNode,
  firstFrom,
  hashOf,
  placeIn,
  startOf,
} from '../../packages/broker/src/shared/shared-choice.ts'

const strategy = fc.constantFrom('local', 'random', 'hash-client', 'hash-topic')
const start = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const nodes = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 6,
})

/** What a node sees that is, or is not, one of those with members. */
function seenBy(self: string, withMembers: readonly string[], localReady: boolean) {
  const hasLocal = withMembers.includes(self)
  const others = withMembers.filter((node) => node !== self).sort()
  return { self, nodes: others, hasLocal, localReady: localReady && hasLocal }
}

describe('the node that is to deliver', () => {
  it('is one with members, or nobody where there is none', () => {
    fc.assert(
      fc.property(
        strategy,
        start,
        nodes,
        fc.string(),
        fc.boolean(),
        (how, at, all, self, ready) => {
          expect(all).toContain(chooseNode(how, at, seenBy(self, all, ready)))
          expect(chooseNode(how, at, seenBy(self, [], ready))).toBe('')
        },
      ),
    )
  })

  it('is its own with the strategy local, as long as a member there takes something', () => {
    fc.assert(
      fc.property(start, nodes, (at, all) => {
        const [self = ''] = all
        expect(chooseNode('local', at, seenBy(self, all, true))).toBe(self)
      }),
    )
  })

  it('is another one where no member of its own takes anything and another has some', () => {
    fc.assert(
      fc.property(strategy, start, nodes, (how, at, all) => {
        fc.pre(all.length > 1)
        const [self = ''] = all
        expect(chooseNode(how, at, seenBy(self, all, false))).not.toBe(self)
      }),
    )
  })

  it('is the same whichever node with members chooses by the same hash', () => {
    fc.assert(
      fc.property(start, nodes, (at, all) => {
        const chosen = all.map((self) => chooseNode('hash-topic', at, seenBy(self, all, true)))
        expect(new Set(chosen).size).toBe(1)
      }),
    )
  })

  it('is each of them in turn', () => {
    fc.assert(
      fc.property(start, nodes, (at, all) => {
        const [self = ''] = all
        const chosen = all.map((_, turn) =>
          chooseNode('random', at + turn, seenBy(self, all, true)),
        )
        expect(new Set(chosen)).toEqual(new Set(all))
      }),
    )
  })
})

describe('the member', () => {
  it('is the first from the start on that takes it, and any that does if one does', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 8 }), start, (takes, at) => {
        const members = takes.map((ready, place) => ({ ready, place }))
        const order = members.map((_, step) => members[(at + step) % members.length])
        const expected = order.find((member) => member?.ready === true)
        expect(firstFrom(members, at, ({ ready }) => ready)).toBe(expected)
      }),
    )
  })

  it('is asked for by a hash of what the strategy names alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (topic, client, other) => {
        expect(hashOf('hash-topic', topic, client)).toBe(hashOf('hash-topic', topic, other))
        expect(hashOf('hash-client', topic, client)).toBe(hashOf('hash-client', other, client))
        for (const how of ['local', 'random'] as const) expect(hashOf(how, topic, client)).toBe(0)
        expect(hashOf('hash-topic', topic, client)).toBeLessThan(2 ** 32)
      }),
    )
  })

  it('of a random start is any of them', () => {
    const starts = Array.from({ length: 200 }, () => startOf('random', 0, 0) % 2)
    expect(new Set(starts)).toEqual(new Set([0, 1]))
  })

  it('of a group in order has a place in that order', () => {
    fc.assert(
      fc.property(nodes, fc.string(), (all, name) => {
        const ordered = [...all].sort()
        const before = ordered.slice(0, placeIn(ordered, name))
        expect(before.every((other) => other < name)).toBe(true)
        const next = ordered[before.length]
        expect(next === undefined || next >= name).toBe(true)
      }),
    )
  })
})
