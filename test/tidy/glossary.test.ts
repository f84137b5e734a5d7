/** docs/GLOSSARY.md explains words that the code has. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const page = readFileSync('docs/GLOSSARY.md', 'utf8')
const terms = [...page.matchAll(/^\| ([\w -]+) \| (.+) \|$/gm)]
  .map(([, term = '', meaning = '']) => ({ term, meaning }))
  .filter(({ term }) => term !== 'term')

test('the terms of the glossary are sorted, each there once, each with a meaning', () => {
  expect(terms.length).toBeGreaterThan(30)
  const names = terms.map(({ term }) => term)
  expect(names).toEqual([...new Set(names)].toSorted((a, b) => a.localeCompare(b)))
  for (const { meaning } of terms) expect(meaning).toMatch(/^\w.{10}/)
})

test('each term of the glossary occurs in the source, as a word or as a part of a name', () => {
  const source = filesBelow('packages', ['.ts'])
    .filter(({ path }) => path.includes('/src/') && !path.endsWith('.test.ts'))
    .map(({ text }) => text)
    .join('\n')
  // `takeOver`, `take-over` and `TAKE_OVER` are the words take and over, one behind the other.
  const words = source
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .join(' ')
  const missing = terms
    .map(({ term }) => term)
    .filter((term) => !new RegExp(`\\b${term.replaceAll(/[ -]/g, ' ?')}(s|ed|ing)?\\b`).test(words))
  expect(missing).toEqual([])
})
