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

describe('the node that delivers a message of a shared subscription', () => {
  it('is a node with members, or none if the group is empty', () => {
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

  it('is the publishing node with the strategy local, while a member at that node takes messages', () => {
    fc.assert(
      fc.property(start, nodes, (at, all) => {
        const [self = ''] = all
        expect(chooseNode('local', at, seenBy(self, all, true))).toBe(self)
      }),
    )
  })

  it('is another node when no member at the publishing node takes messages and another node has members', () => {
    fc.assert(
      fc.property(strategy, start, nodes, (how, at, all) => {
        fc.pre(all.length > 1)
        const [self = ''] = all
        expect(chooseNode(how, at, seenBy(self, all, false))).not.toBe(self)
      }),
    )
  })

  it('is the same for the same hash, whichever node with members chooses', () => {
    fc.assert(
      fc.property(start, nodes, (at, all) => {
        const chosen = all.map((self) => chooseNode('hash-topic', at, seenBy(self, all, true)))
        expect(new Set(chosen).size).toBe(1)
      }),
    )
  })

  it('is each node with members in turn', () => {
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

describe('the member that gets a message of a shared subscription', () => {
  it('is the first member from the start position that takes messages', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 8 }), start, (takes, at) => {
        const members = takes.map((ready, place) => ({ ready, place }))
        const order = members.map((_, step) => members[(at + step) % members.length])
        const expected = order.find((member) => member?.ready === true)
        expect(firstFrom(members, at, ({ ready }) => ready)).toBe(expected)
      }),
    )
  })

  it('is chosen by a hash of only the property that the strategy names', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (topic, client, other) => {
        expect(hashOf('hash-topic', topic, client)).toBe(hashOf('hash-topic', topic, other))
        expect(hashOf('hash-client', topic, client)).toBe(hashOf('hash-client', other, client))
        for (const how of ['local', 'random'] as const) expect(hashOf(how, topic, client)).toBe(0)
        expect(hashOf('hash-topic', topic, client)).toBeLessThan(2 ** 32)
      }),
    )
  })

  it('is any member with a random start position', () => {
    const starts = Array.from({ length: 200 }, () => startOf('random', 0, 0) % 2)
    expect(new Set(starts)).toEqual(new Set([0, 1]))
  })

  it('has a position in the order of the group', () => {
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
