/** The map of `test/` in CONTRIBUTING has one line per folder. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

test('CONTRIBUTING has one line for every folder of test/', () => {
  const page = readFileSync('CONTRIBUTING.md', 'utf8')
  const named = [...page.matchAll(/^\| `test\/(\w+)` \| .{8}/gm)].map(([, folder]) => folder)
  const folders = readdirSync('test', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !['node_modules', 'dist'].includes(entry.name))
    .map(({ name }) => name)
  expect(named).toEqual(folders.toSorted())
})
