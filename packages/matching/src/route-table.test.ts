import { describe, expect, it } from 'vitest'
import { EMPTY_SET, NodeSets } from './node-sets.ts'
import { RouteTable } from './route-table.ts'

const sorted = (nodes: readonly string[]): string[] => [...nodes].sort()

/** Filters of this number of different shapes, none of which matches `x`. */
function shapes(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${'a/'.repeat(at + 1)}+`)
}

describe('a route table', () => {
  it('names each node once, however many of its filters match', () => {
    const table = new RouteTable()
    for (const filter of ['a/b', 'a/+', 'a/#', '#']) table.add('one', filter)
    table.add('two', 'a/+')
    table.add('three', 'b/+')
    expect(sorted(table.match('a/b'))).toEqual(['one', 'two'])
    expect(table.match('c')).toEqual(['one'])
    expect(table.size).toBe(6)
  })

  it('keeps a filter until it is deleted once, however often it was added', () => {
    const table = new RouteTable()
    table.add('one', 'a/+')
    table.add('one', 'a/+')
    expect(table.size).toBe(1)
    table.delete('two', 'a/+')
    table.delete('one', 'a/b')
    expect(table.match('a/b')).toEqual(['one'])
    table.delete('one', 'a/+')
    table.delete('one', 'a/+')
    expect(table.match('a/b')).toEqual([])
    expect(table.size).toBe(0)
  })

  it('matches the parent level of a multi-level wildcard', () => {
    const table = new RouteTable()
    table.add('one', 'a/#')
    expect(table.match('a')).toEqual(['one'])
    expect(table.match('a/b/c')).toEqual(['one'])
    expect(table.match('ab')).toEqual([])
  })

  it('hides topics with a leading $ from leading wildcards [MQTT-4.7.2-1]', () => {
    const table = new RouteTable()
    for (const filter of ['#', '+/a', '+/#']) table.add('one', filter)
    table.add('two', '$SYS/#')
    table.add('three', '$SYS/+')
    expect(sorted(table.match('$SYS/a'))).toEqual(['three', 'two'])
  })

  it('gives every message to a node that has a filter beyond the maximum number of shapes', () => {
    const table = new RouteTable({ shapesMax: 2 })
    const [first, second, third, fourth] = shapes(4) as [string, string, string, string]
    table.add('one', first)
    table.add('one', second)
    expect(table.match('x')).toEqual([])
    table.add('one', third)
    table.add('one', third)
    table.add('one', fourth)
    expect(table.match('x')).toEqual(['one'])
    table.delete('one', third)
    expect(table.match('x')).toEqual(['one'])
    table.delete('one', fourth)
    expect(table.match('x')).toEqual([])
    expect(table.size).toBe(2)
  })

  it('finds a filter in the fallback although its shape has a table by then', () => {
    const table = new RouteTable({ shapesMax: 1 })
    const [first, second] = shapes(2) as [string, string]
    table.add('one', first)
    table.add('two', second)
    table.delete('one', first)
    table.add('one', second)
    table.add('two', second)
    expect(table.size).toBe(2)
    expect(table.match('x')).toEqual(['two'])
    table.delete('two', second)
    expect(table.match('x')).toEqual([])
    expect(table.match('a/a/x')).toEqual(['one'])
  })

  it.each([
    ['exact', ''],
    ['multi-level', '#'],
    ['single-level', '+'],
  ])('distinguishes filters that differ only below the hashed levels: %s', (_, last) => {
    const table = new RouteTable()
    const deep = 'd/'.repeat(40)
    table.add('one', `${deep}a/${last}`)
    table.add('one', `${deep}b/${last}`)
    table.delete('one', `${deep}b/${last}`)
    expect(table.match(`${deep}a/`)).toEqual(['one'])
    table.delete('one', `${deep}a/${last}`)
    expect(table.match(`${deep}a/`)).toEqual([])
  })

  it.each([31, 32, 33])('accepts filters and topics of %d levels', (levels) => {
    const table = new RouteTable()
    const topic = Array.from({ length: levels }, () => 'd').join('/')
    for (const filter of [topic, `${topic}/#`, `${topic.slice(0, -1)}+`]) {
      table.add('one', filter)
      expect(table.match(topic)).toEqual(['one'])
      table.delete('one', filter)
      expect(table.match(topic)).toEqual([])
    }
  })

  it('forgets a removed node, and no other node', () => {
    const table = new RouteTable({ shapesMax: 1 })
    for (let at = 0; at < 1_000; at++) {
      table.add('one', `a/${at}`)
      if (at % 2 === 0) table.add('two', `a/${at}`)
    }
    table.add('one', 'b/+')
    table.add('one', 'b/#')
    expect(table.match('x')).toEqual(['one'])
    table.clear('one')
    expect(table.size).toBe(500)
    expect(table.match('x')).toEqual([])
    expect(table.match('b/1')).toEqual([])
    for (let at = 0; at < 1_000; at++) {
      expect(table.match(`a/${at}`)).toEqual(at % 2 === 0 ? ['two'] : [])
    }
    // The place of the shape that was emptied is free again.
    table.add('two', 'c/d/+')
    expect(table.match('x')).toEqual([])
  })

  it('returns no result from before a change', () => {
    const table = new RouteTable()
    table.add('one', 'a')
    expect(table.match('b')).toEqual([])
    table.add('two', 'b')
    expect(table.match('b')).toEqual(['two'])
    table.clear('two')
    expect(table.match('b')).toEqual([])
  })

  it('caches no more results than its bound', () => {
    const table = new RouteTable({ cachedTopicsMax: 2 })
    table.add('one', 'a/+')
    const [first, second] = [table.match('a/1'), table.match('a/2')]
    for (let at = 0; at < 10; at++) expect(table.match(`a/${at}`)).toEqual(['one'])
    expect([table.match('a/1'), table.match('a/2')]).toEqual([first, second])
  })

  it('grows and shrinks without losing a filter', () => {
    const table = new RouteTable({ cachedTopicsMax: 0 })
    for (let at = 0; at < 20_000; at++) table.add(`node-${at % 3}`, `a/${at}/+`)
    for (let at = 0; at < 20_000; at += 1) {
      if (at % 100 !== 0) table.delete(`node-${at % 3}`, `a/${at}/+`)
    }
    for (let at = 0; at < 20_000; at++) {
      expect(table.match(`a/${at}/x`)).toEqual(at % 100 === 0 ? [`node-${at % 3}`] : [])
    }
    expect(table.size).toBe(200)
  })
})

describe('sets of nodes in the route table', () => {
  it('are shared, in whatever order their nodes were added', () => {
    const sets = new NodeSets()
    const first = sets.add(sets.add(EMPTY_SET, 'one'), 'two')
    const second = sets.add(sets.add(EMPTY_SET, 'two'), 'one')
    expect(second).toBe(first)
    expect(sorted(sets.nodesOf(first))).toEqual(['one', 'two'])
    expect(sets.size).toBe(1)
  })

  it('are freed with their last user, and so is the entry of a node', () => {
    const sets = new NodeSets()
    const held = [sets.add(EMPTY_SET, 'one'), sets.add(EMPTY_SET, 'one')] as const
    const both = sets.add(held[0], 'two')
    expect(sets.size).toBe(2)
    const two = sets.delete(both, 'one')
    expect(sets.nodesOf(two)).toEqual(['two'])
    expect(sets.delete(two, 'two')).toBe(EMPTY_SET)
    expect(sets.size).toBe(1)
    expect([sets.knows('one'), sets.knows('two')]).toEqual([true, false])
    // Numbers and codes are used again and still mean what they should.
    const again = sets.add(held[1], 'three')
    expect(sorted(sets.nodesOf(again))).toEqual(['one', 'three'])
    expect(sets.nodesOf(sets.delete(again, 'one'))).toEqual(['three'])
  })

  it('hold any number of nodes', () => {
    const sets = new NodeSets()
    const nodes = Array.from({ length: 300 }, (_, at) => `node-${at}`)
    let set: number = EMPTY_SET
    for (const node of nodes) set = sets.add(set, node)
    expect(sorted(sets.nodesOf(set))).toEqual(sorted(nodes))
    expect(sets.size).toBe(1)
    for (const node of nodes) set = sets.delete(set, node)
    expect(set).toBe(EMPTY_SET)
    expect(sets.size).toBe(0)
  })
})
