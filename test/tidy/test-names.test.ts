/** The name of a test is a sentence that stands alone. */
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

/** `it('…'`, `test.each(…)('…'` and their like. */
const NAME =
  /(?:\b(?:it|test|itOfBreakwater)(?:\.\w+)*(?:\([^'"`\n]*\))?\(\s*|\]\)\(\s*)(['`])((?:\\.|(?!\1).)+)\1/gs
/** Begins in the middle of something; who it is about cannot be seen; a metaphor or an old turn of phrase. */
const OFFENCES = [
  /^(also|and|but|so|then|or|nor)\b/i,
  /^who\b|, who\b|\bwhoever\b|\bsomebody\b|\banybody\b/i,
  /\b(he|his|him)\b/i,
  /\b(is|are|was) no\b(?! (more|longer))|\bso long\b/i,
]

const files = [...filesBelow('test', ['.ts']), ...filesBelow('packages', ['.ts'])].filter(
  ({ path }) => path.endsWith('.test.ts') || path.includes('/compliance'),
)

test('no test is named by a part of a sentence, or by a pronoun that stands for nothing', () => {
  const names = files.flatMap(({ path, text }) =>
    [...text.matchAll(NAME)].map(([, , name = '']) => ({ path, name })),
  )
  expect(names.length).toBeGreaterThan(1_500)
  const wrong = names.filter(({ name }) => OFFENCES.some((offence) => offence.test(name)))
  expect(wrong.map(({ path, name }) => `${path}: ${name}`)).toEqual([])
})
