/** Each decision says in its first paragraph whether it still applies. */
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const decisions = filesBelow('docs/decisions', ['.md'])

test('decisions are numbered without a gap, and their titles have the number of the file', () => {
  const numbers = decisions.map(({ path }) => posix.basename(path).slice(0, 4)).toSorted()
  expect(numbers).toEqual(numbers.map((_, index) => String(index + 1).padStart(4, '0')))
  for (const { path, text } of decisions)
    expect(text.split('\n')[0]).toMatch(new RegExp(`^# ${posix.basename(path).slice(0, 4)}: .`))
})

test('each decision has a status and a date in its first paragraph', () => {
  for (const { path, text } of decisions)
    expect(text.split('\n')[2], path).toMatch(
      /^Status: (accepted|superseded|amended)\b.* \d{4}-\d\d-\d\d\.$/,
    )
})

test('each decision that supersedes or amends another decision exists', () => {
  for (const { path, text } of decisions)
    for (const [, target = ''] of (text.split('\n')[2] ?? '').matchAll(/\]\(([^)]+)\)/g))
      expect(existsSync(posix.join(posix.dirname(path), target)), `${path}: ${target}`).toBe(true)
  expect(readFileSync('docs/decisions/0002-first-store-and-bus.md', 'utf8')).toContain('superseded')
})
