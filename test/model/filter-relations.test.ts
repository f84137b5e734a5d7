import { topicMatchesFilter } from '@breakwater/mqtt'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { covers, intersects } from '../../packages/broker/src/access/filter-relations.ts'

const NAMES = ['a', 'b', '', '$x'] as const
const DEPTH_MAX = 5

/** Every topic of these names; a wildcard cannot tell others from them. */
const TOPICS = topicsUpTo(DEPTH_MAX)

const filters = fc
  .tuple(
    fc.array(fc.constantFrom(...NAMES, '+'), { minLength: 0, maxLength: DEPTH_MAX - 1 }),
    fc.boolean(),
  )
  .map(([levels, multi]) => [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter((filter) => filter !== '')

test('covers() is true only if every topic of the second filter matches the first', () => {
  fc.assert(
    fc.property(filters, filters, (outer, inner) => {
      fc.pre(covers(outer, inner))
      expect(matches(inner).filter((topic) => !topicMatchesFilter(topic, outer))).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('covers() is exact for filters in normal form', () => {
  fc.assert(
    fc.property(filters, filters, (outer, inner) => {
      // `#` is `+/#`, and `/#` is `/+/#`: there is no topic without a name above them.
      fc.pre(inner !== '#' && inner !== '/#')
      const found = matches(inner)
      fc.pre(found.length > 0 && found.every((topic) => topicMatchesFilter(topic, outer)))
      expect(covers(outer, inner)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('intersects() is true exactly if one topic matches both filters', () => {
  fc.assert(
    fc.property(filters, filters, (first, second) => {
      const both = matches(first).some((topic) => topicMatchesFilter(topic, second))
      expect(intersects(first, second)).toBe(both)
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['#', 'a/+/b', true],
  ['a/#', 'a', true],
  ['a/+', 'a/#', false],
  ['+/b', 'a/b', true],
  ['#', '$SYS/#', false],
  ['$SYS/#', '$SYS/broker/+', true],
  ['a/b', '#', false],
])('the filter %s covers the filter %s: %s', (outer, inner, covered) => {
  expect(covers(outer, inner)).toBe(covered)
})

function matches(filter: string): string[] {
  return TOPICS.filter((topic) => topicMatchesFilter(topic, filter))
}

function topicsUpTo(depth: number): string[] {
  let last: string[] = [...NAMES]
  const all = [...last]
  for (let level = 1; level < depth; level += 1) {
    last = last.flatMap((topic) => NAMES.map((name) => `${topic}/${name}`))
    all.push(...last)
  }
  return all.filter((topic) => topic !== '')
}
