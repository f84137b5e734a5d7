import { describe, expect, it } from 'vitest'
import { filterShape, filterShapeId } from './filter-shape.ts'
import { HASHED_LEVELS_MAX } from './level-hash.ts'

describe('filter shapes', () => {
  it.each([
    ['#', { levels: 0, multiLevel: true, literals: [], leadingWildcard: true }],
    ['+', { levels: 1, multiLevel: false, literals: [], leadingWildcard: true }],
    ['+/#', { levels: 1, multiLevel: true, literals: [], leadingWildcard: true }],
    ['a/#', { levels: 1, multiLevel: true, literals: [0], leadingWildcard: false }],
    ['a/+/c', { levels: 3, multiLevel: false, literals: [0, 2], leadingWildcard: false }],
    ['+/b//+/#', { levels: 4, multiLevel: true, literals: [1, 2], leadingWildcard: true }],
    ['/+/', { levels: 3, multiLevel: false, literals: [0, 2], leadingWildcard: false }],
  ])('%j is read as its levels and wildcards', (filter, shape) => {
    expect(filterShape(filterShapeId(filter))).toMatchObject(shape)
  })

  it('are the same for filters that differ in literals only', () => {
    expect(filterShapeId('a/+/c')).toBe(filterShapeId('//+/é'.slice(1)))
    expect(filterShapeId('a/+/c')).not.toBe(filterShapeId('+/b/c'))
    expect(filterShapeId('a/+/c')).not.toBe(filterShapeId('a/+/c/#'))
    expect(filterShapeId('a/+')).not.toBe(filterShapeId('a/+/c'))
  })

  it('end at the deepest hashed level', () => {
    const deepest = Array.from({ length: HASHED_LEVELS_MAX }, () => '+')
    const shape = filterShape(filterShapeId(['a', ...deepest.slice(1)].join('/')))
    expect(shape).toMatchObject({ levels: HASHED_LEVELS_MAX, literals: [0] })
    expect(filterShape(filterShapeId([...deepest, '#'].join('/')))).toMatchObject({
      levels: HASHED_LEVELS_MAX,
      multiLevel: true,
      literals: [],
    })
    expect(filterShapeId([...deepest, 'a'].join('/'))).toBe(-1)
    expect(filterShapeId([...deepest, '+', '#'].join('/'))).toBe(-1)
  })
})
