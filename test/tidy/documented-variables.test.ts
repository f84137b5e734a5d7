/** Every environment variable that a page names can be set. */
import { limitNames, limitVariable, SETTINGS } from '@breakwater/config'
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const known = new Set<string>([...Object.values(SETTINGS), ...limitNames.map(limitVariable)])
/** Patterns such as `BREAKWATER_LIMIT_…`, and what Kubernetes injects. */
const isNoSetting = (name: string): boolean =>
  name.endsWith('_') || name === 'BREAKWATER_PORT' || name.startsWith('BREAKWATER_TEST_')

const pages = ['docs', 'helm', 'deploy', 'packages'].flatMap((folder) =>
  filesBelow(folder, ['.md', '.tpl', '.yaml', '.txt', 'Dockerfile']),
)

test('every variable that a page, a chart or an image names is a setting of the node', () => {
  const named = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\bBREAKWATER_[A-Z0-9_]+/g)].map(([name]) => ({ path, name })),
  )
  expect(named.length).toBeGreaterThan(Object.keys(SETTINGS).length)
  const unknown = named.filter(({ name }) => !isNoSetting(name) && !known.has(name))
  expect(unknown.map(({ path, name }) => `${path}: ${name}`)).toEqual([])
})
