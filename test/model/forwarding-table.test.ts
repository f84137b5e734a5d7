import {
  isValidTopicFilter,
  isValidTopicName,
  topicLevels,
  topicMatchesFilter,
  type QoS,
} from '@breakwater/mqtt'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ForwardingTable, type FilterTableLimits, type Target } from '@breakwater/matching'

/*
 * The model of the forwarding table is a list of (filter, target, QoS) that is searched in full with
 * a matcher that works on split levels. The universe of levels is small, so that filters overlap and
 * come and go many times, and so that topics meet filters that share a hash index, a mark of the
 * cache or a node of the trie.
 */

interface Numbered extends Target {
  readonly number: number
}

type Change =
  | { readonly kind: 'set'; readonly filter: string; readonly target: number; readonly qos: QoS }
  | { readonly kind: 'delete'; readonly filter: string; readonly target: number }
  | { readonly kind: 'match'; readonly topic: string }

/** MQTT 3.1.1 section 4.7 once more, as differently as possible from the code under test. */
function levelsMatch(topic: readonly string[], filter: readonly string[], first = true): boolean {
  const [level, ...topicRest] = topic
  const [pattern, ...filterRest] = filter
  if (pattern === '#') return !(first && level?.startsWith('$'))
  if (level === undefined || pattern === undefined) return level === pattern
  if (pattern === '+' ? first && level.startsWith('$') : pattern !== level) return false
  return levelsMatch(topicRest, filterRest, false)
}

const level = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 3, arbitrary: fc.constantFrom('', '$SYS', '$', 'é', '😀', '\ud83d', '__proto__') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)
const nameLevel = level.map((text) => text.replaceAll(/[+#/\0]/gu, '-'))
const filterLevel = fc.oneof({ weight: 2, arbitrary: nameLevel }, fc.constant('+'))
/** Now and then as deep as shapes go, and deeper. */
const depth = fc.oneof(
  { weight: 20, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('d/'.repeat(29), 'd/'.repeat(31), 'd/'.repeat(40)) },
)
const topic = fc
  .tuple(depth, fc.array(nameLevel, { minLength: 1, maxLength: 4 }))
  .map(([prefix, levels]) => prefix + levels.join('/'))
  .filter((text) => text !== '')
const filter = fc
  .tuple(depth, fc.array(filterLevel, { maxLength: 4 }), fc.boolean())
  .map(([prefix, levels, multi]) => prefix + [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
const number = fc.nat(4)
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      filter,
      target: number,
      qos: fc.constantFrom<QoS>(0, 1, 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), filter, target: number }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('match' as const), topic }) },
)

describe('topic and filter rules', () => {
  it('accept all generated names and filters, and count levels as a split at slashes does', () => {
    fc.assert(
      fc.property(topic, filter, (name, pattern) => {
        expect(isValidTopicName(name)).toBe(true)
        expect(isValidTopicFilter(pattern)).toBe(true)
        expect(topicLevels(name)).toBe(name.split('/').length)
      }),
    )
  })

  it('accept a filter exactly if each of its levels is valid [MQTT-4.7.1-2] [MQTT-4.7.1-3]', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', '/', '+', '#', '\0'), maxLength: 8 })
    fc.assert(
      fc.property(texts, (text) => {
        const levels = text.split('/')
        const valid = levels.every(
          (each, at) =>
            !each.includes('\0') &&
            (!each.includes('+') || each === '+') &&
            (!each.includes('#') || (each === '#' && at === levels.length - 1)),
        )
        expect(isValidTopicFilter(text)).toBe(valid && text !== '')
      }),
      { numRuns: 2_000 },
    )
  })

  it('match in the reference matcher as in a matcher on split levels', () => {
    fc.assert(
      fc.property(topic, filter, (name, pattern) => {
        expect(topicMatchesFilter(name, pattern)).toBe(
          levelsMatch(name.split('/'), pattern.split('/')),
        )
      }),
      { numRuns: 5_000 },
    )
  })
})

/** The table under test beside its model and beside a table without a cache. */
class Pair {
  readonly pairs = new Map<string, Map<number, QoS>>()
  readonly table: ForwardingTable<Numbered>
  readonly uncached: ForwardingTable<Numbered>
  readonly #targets: readonly Numbered[]
  readonly #shapesMax: number
  #epoch = 0

  constructor(limits: FilterTableLimits) {
    this.table = new ForwardingTable<Numbered>(limits)
    this.uncached = new ForwardingTable<Numbered>({ ...limits, cachedTopicsMax: 0 })
    this.#shapesMax = limits.shapesMax ?? 64
    this.#targets = [0, 1, 2, 3, 4].map((each) => ({ number: each, matchStamp: 0, matchIndex: 0 }))
  }

  apply(step: Change): void {
    if (step.kind === 'match') this.check(step.topic)
    else if (step.kind === 'set') this.#set(step.filter, step.target, step.qos)
    else this.delete(step.filter, step.target)
    this.#checkCounts()
  }

  #set(pattern: string, target: number, qos: QoS): void {
    const targets = this.pairs.get(pattern) ?? new Map<number, QoS>()
    const before = targets.get(target)
    this.pairs.set(pattern, targets.set(target, qos))
    for (const table of [this.table, this.uncached]) {
      expect(table.set(pattern, this.#targets[target]!, qos)).toBe(before === undefined)
    }
    this.#checkEpoch(before !== qos)
  }

  delete(pattern: string, target: number): void {
    const targets = this.pairs.get(pattern)
    const had = targets?.delete(target) ?? false
    if (targets?.size === 0) this.pairs.delete(pattern)
    for (const table of [this.table, this.uncached]) {
      expect(table.delete(pattern, this.#targets[target]!)).toBe(had)
    }
    this.#checkEpoch(had)
  }

  check(name: string): void {
    const expected = new Map<number, QoS>()
    for (const [pattern, targets] of this.pairs) {
      if (!levelsMatch(name.split('/'), pattern.split('/'))) continue
      for (const [target, qos] of targets) {
        expected.set(target, Math.max(qos, expected.get(target) ?? 0) as QoS)
      }
    }
    const { targets, qos } = this.table.match(name)
    expect(targets).toHaveLength(expected.size)
    expect(qos).toHaveLength(expected.size)
    expect(new Map(targets.map((target, at) => [target.number, qos[at]]))).toEqual(expected)
    // Neither the cache nor the random hash key may show in the order.
    expect(this.uncached.match(name)).toEqual({ targets, qos })
  }

  #checkEpoch(changed: boolean): void {
    if (changed) expect(this.table.epoch).toBeGreaterThan(this.#epoch)
    else expect(this.table.epoch).toBe(this.#epoch)
    this.#epoch = this.table.epoch
  }

  #checkCounts(): void {
    const exact = [...this.pairs.keys()].filter((each) => !/[+#]/u.test(each)).length
    const size = [...this.pairs.values()].reduce((sum, targets) => sum + targets.size, 0)
    expect(this.table.size).toBe(size)
    expect(this.table.filters).toBe(this.pairs.size)
    expect(this.table.exactFilters).toBe(exact)
    expect(this.table.wildcardFilters).toBe(this.pairs.size - exact)
    expect(this.table.shapes).toBeLessThanOrEqual(this.#shapesMax)
  }
}

describe('the forwarding table equals its model after any sequence of changes', () => {
  it.each([
    ['with its defaults', {}],
    ['with two shapes', { shapesMax: 2 }],
    ['with the fallback only', { shapesMax: 0 }],
    ['with a cache that is always full', { cachedTopicsMax: 2, cachedTargetsMax: 4 }],
    ['with two shapes and a small cache', { shapesMax: 2, cachedTopicsMax: 4 }],
  ])('%s', (_, limits) => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(topic, { minLength: 1, maxLength: 6 }),
        (changes, topics) => {
          const pair = new Pair(limits)
          for (const step of changes) {
            pair.apply(step)
            // Asked around every change, so that a cached answer that has become wrong is seen.
            for (const name of topics) pair.check(name)
          }
          for (const [pattern, targets] of pair.pairs) {
            for (const target of targets.keys()) pair.delete(pattern, target)
          }
          for (const name of topics) pair.check(name)
          expect(pair.table).toMatchObject({ size: 0, filters: 0, shapes: 0, fallbackFilters: 0 })
        },
      ),
      { numRuns: 150 },
    )
  })
})
