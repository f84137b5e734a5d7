/** Every kind of key in Redis has a bound that is a limit, or is of a size that no client can choose. */
import { readFileSync } from 'node:fs'
import { limitDeclarations, limitNames, type LimitName } from '@breakwater/config'
import { expect, test } from 'vitest'

interface Row {
  readonly key: string
  readonly bounds: string
  readonly limits: readonly string[]
}

const source = readFileSync(new URL('../../packages/redis/src/keys.ts', import.meta.url), 'utf8')

/** The table at the top of keys.ts. */
const rows: readonly Row[] = [...source.matchAll(/^ \* \| `([^`]+)` \|.*/gm)].map(
  ([line, key = '']) => {
    const bounds = line.split(' | ')[5] ?? ''
    return { key, bounds, limits: [...bounds.matchAll(/`(\w+)`/g)].map(([, name = '']) => name) }
  },
)

/** Limits that count for one client or one user. */
const PER_IDENTITY =
  /PerUserMax$|PerClientMax$|^queue|^inflight|^inboundQos2|^connectBytes|BytesMax$/

test('each kind of Redis key names its limits, names the row with its limits, or has a fixed size', () => {
  expect(rows.length).toBeGreaterThan(30)
  const nameless = rows.filter(
    ({ bounds, limits }) => limits.length === 0 && !/^fixed: |^as /.test(bounds),
  )
  expect(nameless).toEqual([])
  const known = new Set<string>(limitNames)
  expect(rows.flatMap(({ limits }) => limits).filter((name) => !known.has(name))).toEqual([])
  for (const { key, bounds } of rows) {
    const other = /^as ([a-z-]+)/.exec(bounds)?.[1]
    if (other === undefined) continue
    const named = rows.find((row) => new RegExp(`:${other}(?::<id>)?$`).test(row.key))
    expect(named?.limits.length, `${key} is bounded as ${other}`).toBeGreaterThan(0)
  }
})

test('each Redis key that clients can grow has a bound per client or per user', () => {
  const ofClients = rows.filter(({ bounds }) => !bounds.startsWith('fixed: '))
  const unbounded = ofClients.filter(
    ({ limits, bounds }) =>
      !bounds.startsWith('as ') && !limits.some((name) => PER_IDENTITY.test(name)),
  )
  // Those of operators.
  expect(unbounded.map(({ key }) => key)).toEqual(['v1:{cluster}:revocations'])
})

test('each limit of a Redis key declares its behaviour at the bound', () => {
  for (const name of new Set(rows.flatMap(({ limits }) => limits)))
    expect(limitDeclarations[name as LimitName].atLimit, name).toMatch(
      /`|0x|as \w+Max|drop|wait|go/,
    )
})
