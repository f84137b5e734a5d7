import { topicMatchesFilter } from '@breakwater/mqtt'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RouteTable, type RouteTableOptions } from '@breakwater/matching'

/*
 * The model of the route table is a Map of filters by node. What the table may do beyond it, name a
 * node because one of its filters found no place in a table, is known where shapes are not limited:
 * there the answer has to be exact. 64 bits do not collide by accident in a test.
 */

const NODES = ['one', 'two', 'three', 'four'] as const

type Step =
  | { readonly kind: 'add' | 'delete'; readonly node: string; readonly filter: string }
  | { readonly kind: 'clear'; readonly node: string }

const nameLevel = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 3, arbitrary: fc.constantFrom('', '$SYS', '$', 'é', '😀', '__proto__') },
)
const filterLevel = fc.oneof({ weight: 2, arbitrary: nameLevel }, fc.constant('+'))
/** Around the number of levels that are hashed, now and then; `DEEP` is always beyond it. */
const DEEP = 'd/'.repeat(40)
const depth = fc.oneof(
  { weight: 20, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constantFrom('d/'.repeat(29), 'd/'.repeat(31)) },
  { weight: 1, arbitrary: fc.constant(DEEP) },
)
const topic = fc
  .tuple(depth, fc.array(nameLevel, { minLength: 1, maxLength: 4 }))
  .map(([prefix, levels]) => prefix + levels.join('/'))
  .filter((text) => text !== '')
const filter = fc
  .tuple(depth, fc.array(filterLevel, { maxLength: 4 }), fc.boolean())
  .map(([prefix, levels, multi]) => prefix + [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
const node = fc.constantFrom(...NODES)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), node, filter }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), node, filter }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), node }) },
)

/** Levels that are hashed before a filter of more is taken as one that matches everything. */
const HASHED_LEVELS = 32

function isTooDeep(pattern: string): boolean {
  const levels = pattern.split('/')
  return (levels.at(-1) === '#' ? levels.length - 1 : levels.length) > HASHED_LEVELS
}

/** The table under test beside its model. */
class Pair {
  readonly filters = new Map<string, Set<string>>(NODES.map((each) => [each, new Set()]))
  readonly table: RouteTable
  readonly #exact: boolean

  constructor(options: RouteTableOptions) {
    this.table = new RouteTable(options)
    this.#exact = options.shapesMax === undefined || options.shapesMax >= 1_000
  }

  apply(change: Step): void {
    const filters = this.filters.get(change.node)!
    if (change.kind === 'clear') {
      filters.clear()
      this.table.clear(change.node)
    } else {
      filters[change.kind](change.filter)
      this.table[change.kind](change.node, change.filter)
    }
    const sizes = [...this.filters.values()].map(({ size }) => size)
    expect(this.table.size).toBe(sizes.reduce((sum, size) => sum + size, 0))
  }

  check(name: string): void {
    const found = this.table.match(name)
    expect(new Set(found).size, 'a node is named once').toBe(found.length)
    for (const [each, filters] of this.filters) {
      const patterns = [...filters]
      if (patterns.some((pattern) => topicMatchesFilter(name, pattern))) {
        expect(found, `${each} has a filter for ${name}`).toContain(each)
      } else if (patterns.length === 0) {
        expect(found, `${each} has no filter`).not.toContain(each)
      } else if (this.#exact) {
        expect(found.includes(each), `${each} and ${name}`).toBe(patterns.some(isTooDeep))
      }
    }
  }
}

describe('the route table leaves out no node after any sequence of changes', () => {
  it.each<[string, RouteTableOptions]>([
    ['with shapes for all', { shapesMax: 1_000 }],
    ['with shapes for all and no cache', { shapesMax: 1_000, cachedTopicsMax: 0 }],
    ['with a cache that is always full', { shapesMax: 1_000, cachedTopicsMax: 1 }],
    ['with two shapes', { shapesMax: 2 }],
    ['without shapes', { shapesMax: 0 }],
  ])('%s', (_, options) => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(topic, { minLength: 1, maxLength: 6 }),
        (steps, topics) => {
          const pair = new Pair(options)
          for (const change of steps) {
            pair.apply(change)
            // Asked around every change, so that a cached answer that has become wrong is seen.
            for (const name of topics) pair.check(name)
          }
          for (const [each, filters] of pair.filters) {
            for (const pattern of filters)
              pair.apply({ kind: 'delete', node: each, filter: pattern })
          }
          for (const name of topics) expect(pair.table.match(name)).toEqual([])
          expect(pair.table.size).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })
})
