/** Folders stay small enough to be read, and files do not depend on each other in a circle. */
import { posix } from 'node:path'
import { expect, test } from 'vitest'
import { filesBelow, relativeImports, type SourceFile } from './source-files.ts'

const FILES_PER_FOLDER_MAX = 25
/** Of the TypeScript below packages/. */
const BROKER_SHARE_MAX = 0.4
const BROKER_ROOT = ['dispatch.ts', 'index.ts', 'main.ts', 'node.ts', 'start-node.ts', 'version.ts']

const isTest = ({ path }: SourceFile): boolean => path.endsWith('.test.ts')
const packages = filesBelow('packages', ['.ts']).filter(
  (file) => file.path.includes('/src/') && !isTest(file),
)
const tests = filesBelow('test', ['.ts', '.mjs']).filter((file) => !isTest(file))

test(`no folder holds more than ${FILES_PER_FOLDER_MAX} files, not counting tests`, () => {
  const counts = new Map<string, number>()
  for (const { path } of [...packages, ...tests]) {
    const folder = posix.dirname(path)
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  expect([...counts].filter(([, count]) => count > FILES_PER_FOLDER_MAX)).toEqual([])
})

test('the root folder of the broker package holds only the composition files', () => {
  const root = packages.filter(({ path }) => posix.dirname(path) === 'packages/broker/src')
  expect(root.map(({ path }) => posix.basename(path)).toSorted()).toEqual(BROKER_ROOT)
})

test(`the broker is less than ${BROKER_SHARE_MAX * 100} % of the TypeScript of the packages`, () => {
  const bytesOf = (files: readonly SourceFile[]): number =>
    files.reduce((sum, { text }) => sum + text.length, 0)
  const broker = packages.filter(({ path }) => path.startsWith('packages/broker/'))
  expect(bytesOf(broker) / bytesOf(packages)).toBeLessThan(BROKER_SHARE_MAX)
})

test('source files do not import each other in a circle, types included', () => {
  const imports = new Map(packages.map((file) => [file.path, relativeImports(file)]))
  const state = new Map<string, 'open' | 'done'>()
  const circles: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      circles.push([...way.slice(way.indexOf(path)), path].join(' → '))
      return
    }
    state.set(path, 'open')
    for (const target of imports.get(path) ?? []) visit(target, [...way, path])
    state.set(path, 'done')
  }
  for (const path of imports.keys()) visit(path, [])
  expect(circles).toEqual([])
})
