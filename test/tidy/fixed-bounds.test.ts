/** Bounds that are no settings: docs/LIMITS.md says of each what its constant says. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { tableRows } from './markdown-table.ts'

const UNITS: Readonly<Record<string, number>> = { KiB: 1_024, MiB: 1_048_576 }

const rows = tableRows('LIMITS.md').flatMap(([, bound = '', , constant = '']) => {
  const [, name, path] = /^`(\w+)` in `(packages\/.+\.ts)`$/.exec(constant) ?? []
  return name === undefined || path === undefined ? [] : [{ bound, name, path }]
})

/** `64 MiB`, `100,000`. */
function valueOf(bound: string): number {
  const [number = '', unit] = bound.split(' ')
  return Number(number.replaceAll(',', '')) * (unit === undefined ? 1 : (UNITS[unit] ?? NaN))
}

/** A product of numbers, as constants are written. */
function constantIn(path: string, name: string): number {
  const source = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const text = new RegExp(`^const ${name} = ([\\d_ *]+)$`, 'm').exec(source)?.[1] ?? ''
  return text
    .split('*')
    .map((factor) => Number(factor.trim().replaceAll('_', '') || NaN))
    .reduce((product, factor) => product * factor, 1)
}

test('docs/LIMITS.md has a table of fixed bounds', () => {
  expect(rows.length).toBeGreaterThan(10)
})

test.each(rows)('docs/LIMITS.md says what $name in $path is', ({ bound, name, path }) => {
  expect(valueOf(bound)).toBe(constantIn(path, name))
})
