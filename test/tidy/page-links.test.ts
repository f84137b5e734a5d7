/** Files, headings, folders and npm scripts that a documentation page refers to exist. */
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { filesBelow, type SourceFile } from './source-files.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
const pages: readonly SourceFile[] = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].map((path) => ({
    path,
    text: read(path),
  })),
  ...['docs', 'helm', 'packages'].flatMap((folder) => filesBelow(folder, ['.md'])),
]

const withoutCode = (text: string): string => text.replaceAll(/```.*?```/gs, '')

/** As GitHub names them. */
function headingsOf(path: string): ReadonlySet<string> {
  const names = new Map<string, number>()
  const found = new Set<string>()
  for (const [, title = ''] of withoutCode(read(path)).matchAll(/^#+ (.+)$/gm)) {
    const name = title
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-')
    const earlier = names.get(name) ?? 0
    names.set(name, earlier + 1)
    found.add(earlier === 0 ? name : `${name}-${earlier}`)
  }
  return found
}

function isThere(from: string, target: string): boolean {
  const [file = '', heading] = target.split('#')
  const path = file === '' ? from : posix.join(posix.dirname(from), file)
  if (!existsSync(`${root}${path}`)) return false
  return heading === undefined || !path.endsWith('.md') || headingsOf(path).has(heading)
}

test('every link of a page within the repository leads to an existing file and heading', () => {
  const links = pages.flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({
      path,
      target,
    })),
  )
  const inside = links.filter(({ target }) => !/^[a-z]+:/.test(target))
  expect(inside.length).toBeGreaterThan(100)
  const broken = inside.filter(({ path, target }) => !isThere(path, target))
  expect(broken.map(({ path, target }) => `${path}: ${target}`)).toEqual([])
})

test('every path that a page names exists', () => {
  const named = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:packages|test|docs|helm|deploy)\/[\w./-]+)`/g)].map(
      ([, name = '']) => ({
        path,
        name,
      }),
    ),
  )
  expect(named.length).toBeGreaterThan(20)
  const gone = named.filter(({ name }) => !existsSync(`${root}${name}`))
  expect(gone.map(({ path, name }) => `${path}: ${name}`)).toEqual([])
})

test('every npm script that a page runs exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: object }
  const run = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/npm run ([a-z][\w:-]*)/g)].map(([, name = '']) => ({ path, name })),
  )
  expect(run.length).toBeGreaterThan(5)
  const unknown = run.filter(({ name }) => !Object.hasOwn(scripts, name))
  expect(unknown.map(({ path, name }) => `${path}: ${name}`)).toEqual([])
})
