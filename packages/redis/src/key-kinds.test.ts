import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { kindOfKey, redisKeyKinds } from './key-kinds.ts'

/** How the table at the top of keys.ts names a type. */
const NAMES = {
  hash: /^hash/,
  stream: /^stream/,
  set: /^set/,
  zset: /^sorted set/,
  string: /^(string|counter|number)/,
} as const

it('every key of the table in keys.ts has a kind, with the type in the table', () => {
  const source = readFileSync(new URL('keys.ts', import.meta.url), 'utf8')
  const rows = [...source.matchAll(/^ \* \| `([^`]+)` \| ([^|]+) \|/gm)]
  const kinds = new Set<string>()
  for (const [, name = '', type = ''] of rows) {
    const found = kindOfKey(`p:${name}`)
    kinds.add(found.kind)
    if (found.type === undefined) expect(type, name).toMatch(/^channel/)
    else expect(type, name).toMatch(NAMES[found.type])
  }
  expect([...kinds].toSorted()).toEqual(redisKeyKinds.filter((kind) => kind !== 'other').toSorted())
})

it('a key of another application has no kind, whatever its contents', () => {
  for (const name of ['', 'queue', 'v1:{1}:__proto__', 'v1:{1}:unknown:x', 'p:v2:{1}:queue:a'])
    expect(kindOfKey(name)).toEqual({ kind: 'other', type: undefined })
})
