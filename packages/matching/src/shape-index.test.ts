import { topicMatchesFilter } from '@breakwater/mqtt'
import { describe, expect, it } from 'vitest'
import { filterShape, filterShapeId } from './filter-shape.ts'
import { ShapeIndex } from './shape-index.ts'

function filterOf(id: number): string {
  return `${id}/+`
}

/** An index of filters `id/+`, which takes whatever keys a test gives it. */
function indexFor(count: number): ShapeIndex {
  const names = Array.from({ length: count }, (_, id) => filterOf(id))
  return new ShapeIndex(filterShape(filterShapeId('a/+')), {
    is: (id, filter) => names[id] === filter,
    matches: (id, topic) => topicMatchesFilter(topic, names[id] ?? ''),
  })
}

describe('a shape index', () => {
  it('finds each filter by its text and by a topic, through growth and shrinking', () => {
    const index = indexFor(5_000)
    const ids = [...Array(5_000).keys()]
    const keyOf = (id: number): number => Math.imul(id, 0x9e3779b1)
    for (const id of ids) expect(index.add(id, keyOf(id))).toBe(true)
    for (const removed of ids) {
      if (removed % 500 === 0) {
        const found = ids.map((id) => index.find(filterOf(id), keyOf(id)))
        const matched = ids.map((id) => index.match(`${id}/x`, keyOf(id)))
        const expected = ids.map((id) => (id < removed ? -1 : id))
        expect(found).toEqual(expected)
        expect(matched).toEqual(expected)
      }
      expect(index.remove(filterOf(removed), keyOf(removed))).toBe(true)
    }
    expect(index.size).toBe(0)
  })

  it('never mistakes an equal key for an equal filter', () => {
    const index = indexFor(10)
    for (let id = 0; id < 10; id++) index.add(id, 7)
    for (let id = 0; id < 10; id++) expect(index.match(`${id}/x`, 7)).toBe(id)
    expect(index.match('10/x', 7)).toBe(-1)
    expect(index.match('1/x/y', 7)).toBe(-1)
    expect(index.find('10/+', 7)).toBe(-1)
    expect(index.remove('10/+', 7)).toBe(false)
  })

  it('closes the gap that a removed filter leaves among colliding keys', () => {
    // Homes 14, 14, 15, 15, 14, 0, 15, 1 of 16 slots: one run that wraps around.
    const keys = new Map([14, 30, 15, 31, 46, 16, 47, 1].entries())
    const index = indexFor(keys.size)
    for (const [id, key] of keys) index.add(id, key)
    for (const gone of [2, 0, 5, 7, 1, 6, 3, 4]) {
      expect(index.remove(filterOf(gone), keys.get(gone) ?? 0)).toBe(true)
      keys.delete(gone)
      for (const [id, key] of keys) expect(index.find(filterOf(id), key)).toBe(id)
    }
  })

  it('refuses a filter when too many share its key, and keeps the existing filters', () => {
    const index = indexFor(1_000)
    const taken = [...Array(1_000).keys()].filter((id) => index.add(id, 12345))
    expect(taken).toEqual([...Array(65).keys()])
    for (const id of taken) expect(index.find(filterOf(id), 12345)).toBe(id)
    expect(index.add(500, 99)).toBe(true)
    for (const id of taken) expect(index.remove(filterOf(id), 12345)).toBe(true)
    expect(index.size).toBe(1)
    expect(index.find(filterOf(500), 99)).toBe(500)
  })
})
