/** No file of the repository names a path of the machine on which it was written. */
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

test('no file of the repository names a path of a development machine', () => {
  const files = TOP_LEVEL.flatMap((folder) => filesBelow(folder, ENDINGS))
  expect(files.length).toBeGreaterThan(200)
  const found = files.flatMap(({ path, text }) => {
    const name = MACHINE_PATH.exec(text)?.[0]
    return name === undefined ? [] : [`${path}: ${name}`]
  })
  expect(found).toEqual([])
})

test('the check for machine paths finds a machine path', () => {
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
