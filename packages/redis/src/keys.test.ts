import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bucketOf, BUCKETS, keysWith } from './keys.ts'

const PREFIX = 'p:'
const keys = keysWith(PREFIX)

const SESSION_FAMILIES = [
  'session',
  'queue',
  'release',
  'inbound',
  'filters',
  'userSessions',
  'userGroups',
  'shared',
  'sharedQueue',
  'sharedMembers',
  'importQueue',
] as const
const BUCKET_FAMILIES = [
  'sessions',
  'owners',
  'wills',
  'retained',
  'retainedOwners',
  'retainedUsage',
  'imported',
  'importedTopics',
] as const

const NODE_FAMILIES = ['inbox', 'inboxBytes', 'notices', 'clusterRoutes'] as const

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
  const bucket = bucketOf('ID')
  const { prefix: _, ...rest } = keys
  return Object.entries(rest).map(([kind, family]) => {
    const name = typeof family === 'function' ? nameOf(kind, bucket) : family
    expect(name.startsWith(PREFIX)).toBe(true)
    return name
      .slice(PREFIX.length)
      .replace(`{${bucket}}`, '{bucket}')
      .replaceAll('NODE', '<node id>')
      .replace('ID', '<id>')
  })
}

function nameOf(kind: string, bucket: number): string {
  if (isOneOf(SESSION_FAMILIES, kind)) return keys[kind]('ID')
  if (isOneOf(BUCKET_FAMILIES, kind)) return keys[kind](bucket)
  if (isOneOf(NODE_FAMILIES, kind)) return keys[kind]('NODE')
  return keys.writer('group', 'ID')
}

function isOneOf<Kind extends string>(kinds: readonly Kind[], kind: string): kind is Kind {
  return (kinds as readonly string[]).includes(kind)
}

describe('Redis keys', () => {
  it('are exactly those of the table in keys.ts', () => {
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
    for (const family of SESSION_FAMILIES) {
      const names = oddIds.map((clientId) => keys[family](clientId))
      expect(new Set(names).size).toBe(oddIds.length)
    }
  })

  it('of a session lie in the slot of its bucket, which is evenly distributed and never changes', () => {
    for (const clientId of oddIds)
      for (const family of ['sessions', 'owners', 'wills', 'imported'] as const)
        expect(hashTag(keys[family](bucketOf(clientId)))).toBe(hashTag(keys.session(clientId)))
    const sizes = Array.from({ length: BUCKETS }, () => 0)
    for (let index = 0; index < 50_000; index += 1) {
      const bucket = bucketOf(`device-${index}`)
      sizes[bucket] = (sizes[bucket] ?? 0) + 1
    }
    expect(Math.max(...sizes)).toBeLessThan(120)
    expect([bucketOf(''), bucketOf('a'), bucketOf('device-1')]).toMatchInlineSnapshot(`
      [
        453,
        300,
        785,
      ]
    `)
  })
})

/** As Redis Cluster reads it: between the first brace and the next one that closes. */
function hashTag(key: string): string | undefined {
  return /^[^{]*\{([^}]*)\}/.exec(key)?.[1]
}
