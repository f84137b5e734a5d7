/** Nothing that is kept names a path of the machine that it was written on. */
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const ENDINGS = [
  '.ts',
  '.mjs',
  '.js',
  '.json',
  '.md',
  '.yaml',
  '.yml',
  '.tpl',
  '.lua',
  'Dockerfile',
]
const TOP_LEVEL = ['packages', 'test', 'deploy', 'helm', 'docs', '.ci']

/** A home directory or a checkout below the root, or a user's folder on a drive. */
const MACHINE_PATH = /(?<![\w.:/@*{}-])\/(?:home|Users|work|root)\/[\w.-]+|\b[A-Z]:\\+Users\b/

test('no file names a path of the machine that it was written on', () => {
  const files = TOP_LEVEL.flatMap((folder) => filesBelow(folder, ENDINGS))
  expect(files.length).toBeGreaterThan(200)
  const found = files.flatMap(({ path, text }) => {
    const name = MACHINE_PATH.exec(text)?.[0]
    return name === undefined ? [] : [`${path}: ${name}`]
  })
  expect(found).toEqual([])
})

test('a path of a machine would be found', () => {
  for (const user of ['home', 'Users', 'work', 'root'])
    expect(`see /${user}/someone/checkout`).toMatch(MACHINE_PATH)
  for (const fine of [
    'https://example.org/home/page',
    'test/work/file',
    './root/x',
    '/run/secrets',
  ])
    expect(fine).not.toMatch(MACHINE_PATH)
})
