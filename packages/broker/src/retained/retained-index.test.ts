import { describe, expect, it } from 'vitest'
import { RetainedIndex } from './retained-index.ts'

function indexOf(...topics: string[]): RetainedIndex {
  const index = new RetainedIndex()
  for (const topic of topics) index.add(topic)
  return index
}

const found = (index: RetainedIndex, filter: string): string[] => [...index.match(filter)].sort()

describe('a retained index', () => {
  it('has each added topic until the topic is deleted', () => {
    const index = indexOf('a/b')
    expect(index.add('a/b')).toBe(false)
    expect(index.size).toBe(1)
    expect([index.has('a/b'), index.has('a'), index.has('a/b/'), index.has('')]).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect(index.delete('a')).toBe(false)
    expect(index.delete('a/b/c')).toBe(false)
    expect(index.delete('a/b')).toBe(true)
    expect(index.delete('a/b')).toBe(false)
    expect(index.size).toBe(0)
    expect(found(index, '#')).toEqual([])
  })

  it('keeps topics above and below a deleted topic', () => {
    const index = indexOf('a', 'a/b', 'a/b/c')
    index.delete('a/b')
    expect(found(index, '#')).toEqual(['a', 'a/b/c'])
    index.delete('a/b/c')
    expect(found(index, '#')).toEqual(['a'])
  })

  it.each<[string, string[]]>([
    ['a/b', ['a/b']],
    ['a/+', ['a/', 'a/b']],
    ['a/#', ['a', 'a/', 'a/b', 'a/b/c']],
    ['+/b', ['/b', 'a/b']],
    ['+/+/c', ['a/b/c']],
    ['+', ['a']],
    ['/+', ['/b']],
    ['#', ['/b', 'a', 'a/', 'a/b', 'a/b/c']],
    ['+/#', ['/b', 'a', 'a/', 'a/b', 'a/b/c']],
    ['$SYS/#', ['$SYS/x']],
    ['$SYS/+', ['$SYS/x']],
    ['+/x', []],
    ['a/b/c/d', []],
  ])('finds the topics that %s matches', (filter, topics) => {
    const index = indexOf('a', 'a/', 'a/b', 'a/b/c', '/b', '$SYS/x')
    expect(found(index, filter)).toEqual(topics)
  })

  it('finds a topic of very many levels', () => {
    const deep = 'd/'.repeat(30_000)
    const index = indexOf(deep)
    expect(found(index, '#')).toEqual([deep])
    expect(index.delete(deep)).toBe(true)
  })

  it('stops a walk when the caller stops', () => {
    const index = indexOf('a/1', 'a/2', 'a/3')
    const walk = index.match('a/+')
    expect(walk.next().done).toBe(false)
    expect(walk.return().done).toBe(true)
    expect(walk.next().done).toBe(true)
  })

  it('ends a walk although a topic is added below or beside each found topic', () => {
    const index = indexOf('a', 'b')
    const topics: string[] = []
    for (const topic of index.match('#')) {
      topics.push(topic)
      index.add(`${topic}/x`)
      index.add(`${topic}x`)
      index.delete(topic)
      index.add(topic)
    }
    expect(topics.sort()).toEqual(['a', 'b'])
    expect(found(index, '#')).toEqual(['a', 'a/x', 'ax', 'b', 'b/x', 'bx'])
  })

  it('finds every topic that stays while others are deleted during the walk', () => {
    const index = indexOf(...Array.from({ length: 100 }, (_, at) => `a/${at}/b`), 'a/last/b')
    const walk = index.match('a/+/b')
    const topics = [walk.next().value]
    for (let at = 0; at < 100; at++) index.delete(`a/${at}/b`)
    for (const topic of walk) topics.push(topic)
    expect(topics).toContain('a/last/b')
    expect(index.size).toBe(1)
  })

  it('pauses a walk after a bounded number of steps, also without a match, and resumes it', () => {
    const index = indexOf(...Array.from({ length: 100 }, (_, at) => `a/${at}`), 'a/x/y')
    expect([...index.match('a/+/z', 10)]).toEqual(Array.from({ length: 10 }, () => undefined))
    const topics = [...index.match('a/+', 10)]
    expect(topics.filter((topic) => topic === undefined).length).toBeGreaterThanOrEqual(10)
    expect(topics.filter((topic) => topic !== undefined).sort()).toEqual(found(index, 'a/+'))
    const walk = index.match('a/+/y', 10)
    expect(walk.next().value).toBeUndefined()
    index.clear()
    expect(walk.next().done).toBe(true)
  })

  it('ends a walk when it is cleared', () => {
    const index = indexOf('a/1', 'a/2')
    const walk = index.match('#')
    walk.next()
    index.clear()
    expect(walk.next().done).toBe(true)
    expect(index.size).toBe(0)
    index.add('b')
    expect(found(index, '#')).toEqual(['b'])
  })
})
