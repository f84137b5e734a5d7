import { describe, expect, it } from 'vitest'
import type { Matches } from './matches.ts'
import { TopicCache } from './topic-cache.ts'

const NO_KEYS: readonly number[] = []

function matchesOf(count: number): Matches<number> {
  return { targets: Array.from({ length: count }, (_, at) => at), qos: Array(count).fill(0) }
}

describe('the topic cache', () => {
  it('holds no more topics than its bound, and keeps used topics', () => {
    const cache = new TopicCache<Matches<number>>(100, 1_000_000)
    const used = matchesOf(1)
    cache.set('used', used, NO_KEYS, 0)
    for (let topic = 0; topic < 1_000; topic++) {
      cache.set(`t${topic}`, matchesOf(1), NO_KEYS, 0)
      expect(cache.get('used')).toBe(used)
      expect(cache.size).toBeLessThanOrEqual(100)
    }
    expect(cache.get('t0')).toBeUndefined()
    expect(cache.get('t999')).toBeDefined()
  })

  it('holds no more targets than its bound', () => {
    const cache = new TopicCache<Matches<number>>(10_000, 1_000)
    for (let topic = 0; topic < 100; topic++) cache.set(`t${topic}`, matchesOf(50), NO_KEYS, 0)
    expect(cache.size).toBe(20)
    cache.set('wide', matchesOf(501), NO_KEYS, 0)
    expect(cache.get('wide')).toBeUndefined()
  })

  it('counts a result once however often it is found again', () => {
    const cache = new TopicCache<Matches<number>>(10_000, 1_000)
    const kept = matchesOf(1)
    cache.set('kept', kept, NO_KEYS, 0)
    for (let round = 0; round < 1_000; round++) cache.set('again', matchesOf(400), NO_KEYS, 0)
    expect(cache.get('kept')).toBe(kept)
    expect(cache.size).toBe(2)
  })

  it('drops an unused topic after as many changes as its bound of topics', () => {
    const cache = new TopicCache<Matches<number>>(100, 1_000)
    const used = matchesOf(1)
    cache.set('used', used, [0], 1)
    cache.set('left', matchesOf(1), [1], 1)
    for (let change = 0; change < 200; change++) {
      cache.mark(2)
      expect(cache.get('used')).toBe(used)
    }
    expect(cache.get('left')).toBeUndefined()
  })

  it('does not keep very long topics', () => {
    const cache = new TopicCache<Matches<number>>(100, 1_000)
    cache.set('x'.repeat(1_024), matchesOf(1), NO_KEYS, 0)
    cache.set('x'.repeat(1_025), matchesOf(1), NO_KEYS, 0)
    expect(cache.size).toBe(1)
  })

  it('drops a result when one of the keys that it was found with is marked, and only then', () => {
    const cache = new TopicCache<Matches<number>>(100, 1_000)
    const keys = [1, -2, 3]
    cache.set('all', matchesOf(1), keys, 3)
    cache.set('first', matchesOf(1), keys, 1)
    cache.mark(4)
    expect(cache.get('all')).toBeDefined()
    expect(cache.get('first')).toBeDefined()
    cache.mark(-2)
    expect(cache.get('all')).toBeUndefined()
    expect(cache.get('first')).toBeDefined()
    cache.mark(1)
    expect(cache.get('first')).toBeUndefined()
    cache.set('first', matchesOf(1), keys, 1)
    expect(cache.get('first')).toBeDefined()
  })

  it('is empty after it was cleared', () => {
    const cache = new TopicCache<Matches<number>>(4, 1_000)
    for (const topic of ['a', 'b', 'c']) cache.set(topic, matchesOf(1), NO_KEYS, 0)
    expect(cache.size).toBe(3)
    cache.clear()
    expect(cache.size).toBe(0)
    for (const topic of ['a', 'b', 'c']) expect(cache.get(topic)).toBeUndefined()
  })
})
