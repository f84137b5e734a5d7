/** A source file that a comment or a page names is there, under that name. */
import { posix } from 'node:path'
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const sources = ['packages', 'test', 'deploy'].flatMap((folder) =>
  filesBelow(folder, ['.ts', '.mjs']),
)
const names = new Set(sources.map(({ path }) => posix.basename(path)))
/** In code: the comments. */
const COMMENTS = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm

test('no comment and no page names a source file that is gone', () => {
  const pages = filesBelow('docs', ['.md'])
  const comments = sources.map(({ path, text }) => ({
    path,
    text: [...text.matchAll(COMMENTS)].map(([comment]) => comment).join('\n'),
  }))
  const wrong = [...pages, ...comments].flatMap(({ path, text }) =>
    [...text.matchAll(/(?<![\w.*<>{}-])([a-z][a-z0-9-]+\.(?:ts|mjs))\b/g)]
      .map(([, name = '']) => name)
      .filter((name) => !names.has(name))
      .map((name) => `${path}: ${name}`),
  )
  expect(wrong).toEqual([])
})
