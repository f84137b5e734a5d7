import { describe, expect, it } from 'vitest'
import { FilterTrie } from './filter-trie.ts'

function trieOf(filters: readonly string[]): FilterTrie {
  const trie = new FilterTrie()
  for (const [id, filter] of filters.entries()) trie.add(filter, id)
  return trie
}

describe('the filter trie', () => {
  const filters = ['#', '+/#', 'a/#', 'a/+', '+/b', 'a/b/#', '+/+/+', '$SYS/#', '/+', 'a/+/#']

  it.each([
    ['a', ['#', '+/#', 'a/#']],
    ['a/b', ['#', '+/#', 'a/#', 'a/+', '+/b', 'a/b/#', 'a/+/#']],
    ['a/b/c', ['#', '+/#', 'a/#', 'a/b/#', '+/+/+', 'a/+/#']],
    ['$SYS/b', ['$SYS/#']],
    ['$SYS', ['$SYS/#']],
    ['/', ['#', '+/#', '/+']],
    ['__proto__', ['#', '+/#']],
  ])('finds the filters of %j', (topic, expected) => {
    const found = trieOf(filters).match(topic)
    expect(found.map((id) => filters[id]).sort()).toEqual(expected.sort())
  })

  it('finds and removes one filter and keeps the others', () => {
    const trie = trieOf(filters)
    for (const [id, filter] of filters.entries()) {
      expect(trie.find(filter)).toBe(id)
      expect(trie.remove(filter)).toBe(id)
      expect(trie.find(filter)).toBe(-1)
      expect(trie.remove(filter)).toBe(-1)
      for (const [rest, other] of filters.entries()) {
        if (rest > id) expect(trie.find(other)).toBe(rest)
      }
    }
    expect(trie.size).toBe(0)
    expect(trie.match('a/b')).toEqual([])
  })

  it('does not find a prefix of a filter as a filter', () => {
    const trie = trieOf(['a/+/c'])
    expect(trie.find('a/+')).toBe(-1)
    expect(trie.remove('a/+')).toBe(-1)
    expect(trie.find('a/+/c/#')).toBe(-1)
    expect(trie.find('x/+')).toBe(-1)
  })

  it('accepts the deepest filter that a packet can carry', () => {
    const deep = '+/'.repeat(32_000) + '#'
    const trie = trieOf([deep])
    expect(trie.match('/'.repeat(31_998))).toEqual([])
    expect(trie.match('/'.repeat(31_999))).toEqual([0])
    expect(trie.match('/'.repeat(40_000))).toEqual([0])
    expect(trie.remove(deep)).toBe(0)
  })
})
