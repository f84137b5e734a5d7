import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { keysWith, type Keys } from './keys.ts'

const PREFIX = 'p:'
const keys = keysWith(PREFIX)

const SESSION_FAMILIES = ['session', 'queue', 'release', 'inbound'] as const

const oddIds = [
  'a',
  '__proto__',
  '{}',
  '{',
  '}',
  'a:b',
  'a{b}c',
  '*',
  '😀',
  '%7B',
  'x'.repeat(65_535),
]

/** First column of the table at the top of keys.ts. */
function documentedNames(): (string | undefined)[] {
  const source = readFileSync(new URL('keys.ts', import.meta.url), 'utf8')
  return [...source.matchAll(/^ \* \| `([^`]+)` \|/gm)].map(([, name]) => name)
}

/** What `keysWith` makes, written as the table writes it. */
function madeNames(): string[] {
  const { prefix: _, ...families } = keys
  return Object.values(families).map((family: Keys[keyof Keys]) => {
    const name = typeof family === 'function' ? family('ID') : family
    expect(name.startsWith(PREFIX)).toBe(true)
    return name.slice(PREFIX.length).replace('{ID}', '{id}').replace('ID', '<id>')
  })
}

describe('keys', () => {
  it('are all in the table, and the table names no other', () => {
    const documented = documentedNames()
    expect(documented.length).toBeGreaterThan(0)
    expect(new Set(madeNames())).toEqual(new Set(documented))
  })

  it.each(oddIds)('of one session share a hash tag: %.20s', (clientId) => {
    const tags = SESSION_FAMILIES.map((family) => hashTag(keys[family](clientId)))
    expect(new Set(tags).size).toBe(1)
    expect(tags[0]).not.toBe('')
  })

  it('of different sessions are different', () => {
    for (const family of [...SESSION_FAMILIES, 'filters'] as const) {
      const names = oddIds.map((clientId) => keys[family](clientId))
      expect(new Set(names).size).toBe(oddIds.length)
    }
    expect(new Set(oddIds.map((clientId) => hashTag(keys.session(clientId)))).size).toBe(
      oddIds.length,
    )
  })
})

/** As Redis Cluster reads it: between the first brace and the next one that closes. */
function hashTag(key: string): string | undefined {
  return /^[^{]*\{([^}]*)\}/.exec(key)?.[1]
}
