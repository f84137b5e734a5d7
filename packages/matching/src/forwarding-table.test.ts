import { describe, expect, it } from 'vitest'
import type { FilterTableLimits } from './filter-table.ts'
import type { Target } from './matches.ts'
import { ForwardingTable } from './forwarding-table.ts'

interface Named extends Target {
  readonly name: string
}

function target(name: string): Named {
  return { name, matchStamp: 0, matchIndex: 0 }
}

function tableOf(limits?: FilterTableLimits): ForwardingTable<Named> {
  return new ForwardingTable<Named>(limits)
}

/** What a topic matches, as `name:qos`. */
function found(table: ForwardingTable<Named>, topic: string): string[] {
  const { targets, qos } = table.match(topic)
  expect(qos).toHaveLength(targets.length)
  return targets.map(({ name }, index) => `${name}:${qos[index]}`)
}

const [a, b, c] = [target('a'), target('b'), target('c')]

describe('the forwarding table', () => {
  it('reports whether a pair of filter and target is new', () => {
    const table = tableOf()
    expect(table.set('x/+', a, 0)).toBe(true)
    expect(table.set('x/+', a, 2)).toBe(false)
    expect(table.set('x/+', b, 1)).toBe(true)
    expect(found(table, 'x/y')).toEqual(['a:2', 'b:1'])
    expect(table.delete('x/+', c)).toBe(false)
    expect(table.delete('x/+', a)).toBe(true)
    expect(table.delete('x/+', a)).toBe(false)
    expect(table.delete('x/y', b)).toBe(false)
    expect(found(table, 'x/y')).toEqual(['b:1'])
  })

  it('returns a target once, with the highest QoS of its filters', () => {
    const table = tableOf()
    for (const [filter, qos] of [
      ['x/y', 0],
      ['x/+', 2],
      ['#', 1],
    ] as const) {
      table.set(filter, a, qos)
      table.set(filter, b, 0)
    }
    expect(found(table, 'x/y')).toEqual(['a:2', 'b:0'])
    expect(found(table, 'x/z')).toEqual(['a:2', 'b:0'])
    expect(found(table, 'y')).toEqual(['a:1', 'b:0'])
  })

  it('keeps wildcards in the first level from $ topics [MQTT-4.7.2-1]', () => {
    for (const limits of [{}, { shapesMax: 0 }]) {
      const table = tableOf(limits)
      table.set('#', a, 0)
      table.set('+/x', a, 0)
      table.set('$SYS/#', b, 0)
      table.set('$SYS/x', c, 0)
      expect(found(table, '$SYS/x').sort()).toEqual(['b:0', 'c:0'])
      expect(found(table, '$SYS')).toEqual(['b:0'])
    }
  })

  it('accepts any text as a level', () => {
    const table = tableOf()
    const filters = ['__proto__', 'constructor', 'a/__proto__/+', '😀/+', '\ud83d/+', '/+', '//#']
    for (const filter of filters) table.set(filter, target(filter), 1)
    expect(found(table, '__proto__')).toEqual(['__proto__:1'])
    expect(found(table, 'constructor')).toEqual(['constructor:1'])
    expect(found(table, 'toString')).toEqual([])
    expect(found(table, 'a/__proto__/x')).toEqual(['a/__proto__/+:1'])
    expect(found(table, '😀/x')).toEqual(['😀/+:1'])
    expect(found(table, '\ud83d/x')).toEqual(['\ud83d/+:1'])
    expect(found(table, '/')).toEqual(['/+:1', '//#:1'])
  })

  it('lists targets as they were added: exact, shapes as they were made, fallback', () => {
    const table = tableOf({ shapesMax: 2 })
    const [one, two, three] = [target('1'), target('2'), target('3')]
    table.set('+/+', a, 0)
    table.set('x/#', b, 0)
    table.set('+/y', c, 0)
    for (const each of [one, two, three]) table.set('x/y', each, 0)
    table.set('+/y', two, 0)
    table.set('x/#', one, 1)
    expect(found(table, 'x/y')).toEqual(['1:1', '2:0', '3:0', 'a:0', 'b:0', 'c:0'])
    table.delete('x/y', one)
    table.set('x/y', one, 0)
    expect(found(table, 'x/y')).toEqual(['3:0', '2:0', '1:1', 'a:0', 'b:0', 'c:0'])
  })

  it('never changes a result that it has returned', () => {
    const table = tableOf()
    const many = Array.from({ length: 30 }, (_, index) => target(`m${index}`))
    for (const each of many) table.set('x/+', each, 1)
    const [one, joined] = [table.match('x/y'), (table.set('#', a, 0), table.match('x/z'))]
    const before = [[...one.targets], [...one.qos], [...joined.targets], [...joined.qos]]
    for (const each of many) table.delete('x/+', each)
    table.set('#', a, 2)
    table.set('x/+', b, 0)
    expect([[...one.targets], [...one.qos], [...joined.targets], [...joined.qos]]).toEqual(before)
    expect(found(table, 'x/y')).toEqual(['a:2', 'b:0'])
  })

  it('answers a topic that it has just answered with the same object', () => {
    const table = tableOf()
    table.set('x/+', a, 1)
    table.set('x/y', b, 1)
    const before = table.match('x/y')
    expect(table.match('x/y')).toBe(before)
    table.set('other/filter', c, 0)
    table.set('other/+', c, 0)
    table.delete('other/filter', c)
    expect(table.match('x/y')).toBe(before)
    table.set('x/+', a, 1)
    expect(table.match('x/y')).toBe(before)
    table.set('x/+', c, 1)
    expect(found(table, 'x/y')).toEqual(['b:1', 'a:1', 'c:1'])
  })

  it('returns a new result when a filter of a new shape begins to match', () => {
    const table = tableOf()
    expect(found(table, 'x/y')).toEqual([])
    table.set('x/+', a, 0)
    expect(found(table, 'x/y')).toEqual(['a:0'])
    table.set('#', b, 0)
    expect(found(table, 'x/y')).toEqual(['a:0', 'b:0'])
    table.delete('x/+', a)
    expect(found(table, 'x/y')).toEqual(['b:0'])
    table.set('x/+', c, 0)
    expect(found(table, 'x/y')).toEqual(['b:0', 'c:0'])
  })

  it('counts pairs, filters, shapes and changes', () => {
    const table = tableOf({ shapesMax: 2 })
    for (const filter of ['x', 'x/y', 'x/+', 'y/+', 'x/#', '#', '+']) table.set(filter, a, 0)
    table.set('x', b, 0)
    const counts = (): object => {
      const { size, filters, exactFilters, wildcardFilters, fallbackFilters, shapes, epoch } = table
      return { size, filters, exactFilters, wildcardFilters, fallbackFilters, shapes, epoch }
    }
    expect(counts()).toEqual({
      size: 8,
      filters: 7,
      exactFilters: 2,
      wildcardFilters: 5,
      fallbackFilters: 2,
      shapes: 2,
      epoch: 8,
    })
    table.set('x', b, 0)
    table.delete('x', c)
    expect(counts()).toMatchObject({ size: 8, epoch: 8 })
    table.set('x', b, 1)
    expect(counts()).toMatchObject({ size: 8, epoch: 9 })
    for (const filter of ['x', 'x/y', 'x/+', 'y/+', 'x/#', '#', '+']) table.delete(filter, a)
    table.delete('x', b)
    expect(counts()).toEqual({
      size: 0,
      filters: 0,
      exactFilters: 0,
      wildcardFilters: 0,
      fallbackFilters: 0,
      shapes: 0,
      epoch: 17,
    })
  })

  it('reuses a freed shape, and keeps each filter in its place', () => {
    const table = tableOf({ shapesMax: 1 })
    table.set('x/+', a, 0)
    table.set('x/#', b, 0)
    expect(table).toMatchObject({ shapes: 1, fallbackFilters: 1 })
    table.delete('x/+', a)
    table.set('y/#', a, 0)
    expect(table).toMatchObject({ shapes: 1, fallbackFilters: 1 })
    expect(table.set('x/#', b, 2)).toBe(false)
    expect(table.set('x/#', c, 1)).toBe(true)
    expect(found(table, 'x/y')).toEqual(['b:2', 'c:1'])
    expect(table.delete('x/#', b)).toBe(true)
    expect(table.delete('x/#', c)).toBe(true)
    table.set('x/#', c, 1)
    expect(table).toMatchObject({ shapes: 1, fallbackFilters: 0 })
    expect(found(table, 'x/y')).toEqual(['c:1'])
  })

  it('accepts filters with more levels than shapes have', () => {
    const table = tableOf()
    const deep = Array.from({ length: 40 }, (_, level) => `l${level}`)
    table.set([...deep.slice(0, 39), '+'].join('/'), a, 0)
    table.set([...deep.slice(0, 31), '#'].join('/'), b, 0)
    table.set(deep.join('/'), c, 0)
    expect(found(table, deep.join('/'))).toEqual(['c:0', 'b:0', 'a:0'])
    expect(table).toMatchObject({ shapes: 1, fallbackFilters: 1 })
  })

  it('allows a target in two tables at once', () => {
    const tables = [tableOf({ cachedTopicsMax: 0 }), tableOf({ cachedTopicsMax: 0 })]
    for (const table of tables) {
      table.set('x/+', a, 0)
      table.set('#', a, 1)
      table.set('#', b, 0)
    }
    for (const table of [...tables, ...tables]) {
      expect(found(table, 'x/y')).toEqual(['a:1', 'b:0'])
    }
  })
})
