import { topicMatchesFilter } from '@breakwater/mqtt'
import { describe, expect, it } from 'vitest'
import { FilterIndex } from './filter-index.ts'
import type { FilterNames } from './filter-names.ts'
import { LevelHash } from './level-hash.ts'

/** What a client could do that had learnt the key: every level has the same hash. */
class KnownHash extends LevelHash {
  override update(text: string): number {
    const count = super.update(text)
    this.levels.fill(0)
    return count
  }
}

function namesOf(names: readonly string[]): FilterNames {
  return {
    is: (id, filter) => names[id] === filter,
    matches: (id, topic) => topicMatchesFilter(topic, names[id] ?? ''),
  }
}

function hitsOf(index: FilterIndex, topic: string): number[] {
  index.match(topic)
  return index.hits.slice(0, index.hitCount)
}

describe('the filter index', () => {
  it('moves filters to the fallback when too many share one key, and finds all of them', () => {
    const names = Array.from({ length: 300 }, (_, id) => `${id}/+`)
    const index = new FilterIndex(namesOf(names), 64, new KnownHash())
    const shapes = names.map((filter, id) => index.add(filter, id).shape)
    expect(shapes.filter((shape) => shape !== undefined)).toHaveLength(65)
    expect(index.fallbackFilters).toBe(300 - 65)
    for (const [id, filter] of names.entries()) {
      expect(hitsOf(index, `${id}/x`)).toEqual([id])
      expect(index.locate(filter)).toMatchObject({ id, shape: shapes[id] })
    }
    for (const filter of names) index.remove(filter, index.locate(filter))
    expect(index).toMatchObject({ shapes: 0, fallbackFilters: 0 })
  })

  it('probes only shapes that fit the number of levels and a leading $', () => {
    const names = ['a/+', 'a/+/c', '+/b', '#', 'a/b/#', 'a/b/c/d/#', '+/#']
    const index = new FilterIndex(namesOf(names), 64)
    for (const [id, filter] of names.entries()) index.add(filter, id)
    const probes = ['a/b', 'a/b/c', 'a', '$a/b', 'a/b/c/d/e', 'x/'.repeat(40)].map((topic) => {
      index.match(topic)
      return index.keyCount
    })
    // Each probes the exact filters, and then:
    // a/b: a/+ +/b # a/b/# +/#   a/b/c: a/+/c # a/b/# +/#   a: # +/#   $a/b: a/+ a/b/#
    expect(probes).toEqual([6, 5, 3, 3, 5, 5])
  })
})
