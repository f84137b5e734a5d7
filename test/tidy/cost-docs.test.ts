/** docs/LIMITS.md says what one client, one user, a node and the cluster cost at most, from the defaults. */
import { limitDeclarations, type LimitName } from '@breakwater/config'
import { expect, test } from 'vitest'
import { tableRows } from './markdown-table.ts'

const MIB = 1_048_576

/** `a × b`, `a + b`, `a × (1 + ln b)` of limits, numbers and MiB: their values by default. */
function valueOf(formula: string): number {
  const sum = (terms: string): number =>
    terms.split(' + ').reduce((total, term) => total + product(term), 0)
  const product = (term: string): number =>
    term.split(' × ').reduce((total, factor) => total * valueOfFactor(factor), 1)
  const harmonic = /^(.+) × \(1 \+ ln (.+)\)$/.exec(formula)
  if (harmonic === null) return sum(formula)
  return product(harmonic[1] ?? '') * (1 + Math.log(valueOfFactor(harmonic[2] ?? '')))
}

function valueOfFactor(factor: string): number {
  const mebibytes = /^(\d+) MiB$/.exec(factor)?.[1]
  if (mebibytes !== undefined) return Number(mebibytes) * MIB
  if (/^\d+$/.test(factor)) return Number(factor)
  const declaration = limitDeclarations[factor.replaceAll('`', '') as LimitName]
  expect(declaration, factor).toBeDefined()
  return declaration.default
}

test('the maximum costs in docs/LIMITS.md follow from the default limits', () => {
  const rows = tableRows('LIMITS.md').filter(
    (row) => row.length === 5 && / (?:MiB|GiB)$/.test(row[4] ?? ''),
  )
  expect(rows.length).toBeGreaterThan(9)
  for (const [whose, what, , formula = '', most] of rows) {
    const mebibytes = valueOf(formula) / MIB
    const text =
      mebibytes >= 10_240
        ? `${Math.ceil(mebibytes / 1_024)} GiB`
        : `${Math.ceil(mebibytes).toLocaleString('en-US')} MiB`
    expect(most, `${whose}: ${what}`).toBe(text)
  }
})
