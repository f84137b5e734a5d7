/** The name of a test is read in a report, without its file: it is a sentence that stands alone. */
import { expect, test } from 'vitest'
import { testTitles, unclearIn } from './prose.ts'
import { filesBelow } from './source-files.ts'

/** Titles that only look unclear. */
const ALLOWED: readonly string[] = []

const files = [...filesBelow('test', ['.ts']), ...filesBelow('packages', ['.ts'])].filter(
  ({ path }) => path.endsWith('.test.ts') || /\/compliance(?:\/|\.ts$)/.test(path),
)

test('test titles name their subject, in plain wording', () => {
  const titles = files.flatMap((file) =>
    testTitles(file).map((title) => ({ ...title, path: file.path })),
  )
  expect(titles.length).toBeGreaterThan(1_500)
  const unclear = titles
    .filter(({ text }) => !ALLOWED.includes(text))
    .flatMap((title) =>
      unclearIn(title).map((instead) => `${title.path}:${title.line} ${title.text} → ${instead}`),
    )
  expect(unclear).toEqual([])
})

test('the check of test titles reads every form in which a title is written', () => {
  const text = `
describe('a', () => {
  it("b", () => {})
})
test.each([1])(
  'c %s',
  () => {},
)
it.concurrent(\`d \${e}\`, () => {})
`
  expect(testTitles({ path: 'x', text })).toEqual([
    { line: 2, text: 'a', stands: false },
    { line: 3, text: 'b', stands: false },
    { line: 5, text: 'c %s', stands: true },
    { line: 9, text: 'd ${e}', stands: true },
  ])
})

test.each([
  ['also where it stops before it has heard who they are', true],
  ['it is refused while a node runs', true],
  ['who reads everything again waits', true],
  ['keeps its file', true],
  ['what Redis has lost is restored', true],
  ['but makes an owner leave', false],
  ['a slow client hurts himself and his neighbours', false],
  ['a client is closed by whoever is near', false],
  ['a folder is no program', false],
  ['has room for so many exchanges', false],
])('the check of test titles finds an unclear one: %s', (text, stands) => {
  expect(unclearIn({ text, stands })).not.toEqual([])
})

test.each([
  ['a slow client affects only itself', true],
  ['[MQTT-3.1.4-2] a second connection with the same client id closes the first', true],
  ['keeps its file', false],
  ['the log says when there is no Redis', true],
])('the check of test titles accepts a clear one: %s', (text, stands) => {
  expect(unclearIn({ text, stands })).toEqual([])
})
