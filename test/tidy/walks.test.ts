/** The walks in docs/ARCHITECTURE.md follow the code path of each packet. */
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesBelow, relativeImports } from './source-files.ts'

const BROKER = 'packages/broker/src/'
const imports = new Map(
  filesBelow('packages/broker/src', ['.ts']).map((file) => [file.path, relativeImports(file)]),
)

interface Step {
  readonly file: string
  readonly name: string
}

const page = readFileSync('docs/ARCHITECTURE.md', 'utf8')
const walks = page
  .split(/^### /m)
  .filter((part) => part.startsWith('The way of'))
  .map((part) => {
    const [title = ''] = part.split('\n')
    const steps = [...part.matchAll(/^\d+\. `([^`]+)` `([^`]+)`: \S/gm)].map(
      ([, file = '', name = '']): Step => ({ file: BROKER + file, name }),
    )
    return { title, steps, numbers: [...part.matchAll(/^\d+\./gm)].length }
  })

const textOf = (file: string): string => readFileSync(file, 'utf8')

/** By an import in either way, a file that knows both, or a call through an interface. */
function areJoined(from: Step, to: Step): boolean {
  if (from.file === to.file) return true
  const [first, second] = [imports.get(from.file) ?? [], imports.get(to.file) ?? []]
  if (first.includes(to.file) || second.includes(from.file)) return true
  if (textOf(from.file).includes(`.${to.name}(`)) return true
  return [...imports.values()].some((all) => all.includes(from.file) && all.includes(to.file))
}

test('docs/ARCHITECTURE.md has a walk of a CONNECT, a SUBSCRIBE, a PUBLISH and a will', () => {
  const titles = ['CONNECT', 'SUBSCRIBE', 'PUBLISH', 'will'].map((what) => `The way of a ${what}`)
  expect(walks.map(({ title }) => title)).toEqual(titles)
  for (const { steps, numbers } of walks) {
    expect(steps.length).toBeGreaterThan(5)
    expect(steps).toHaveLength(numbers)
  }
})

describe.each(walks)('the walk "$title" in docs/ARCHITECTURE.md', ({ steps }) => {
  test('names existing files, and in each file an existing function', () => {
    const wrong = steps.filter(({ file, name }) => {
      if (!existsSync(file)) return true
      const escaped = name.replaceAll(/[$#]/g, String.raw`\$&`)
      return !new RegExp(String.raw`(?<![\w#])${escaped}(?:\(|\b.*=>)`).test(textOf(file))
    })
    expect(wrong).toEqual([])
  })

  test('goes from each file to a file that is connected by imports', () => {
    const wrong = steps.flatMap((step, index) => {
      const next = steps[index + 1]
      if (next === undefined || areJoined(step, next)) return []
      return [`${posix.basename(step.file)} → ${posix.basename(next.file)}`]
    })
    expect(wrong).toEqual([])
  })
})

test('every source file that a page of docs names exists', () => {
  const pages = [
    ...filesBelow('docs', ['.md']),
    ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].map((path) => ({
      path,
      text: textOf(path),
    })),
  ]
  const wrong = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`([\w@.-]+(?:\/[\w.*-]+)+\.(?:ts|mjs|js))`/g)]
      .map(([, name = '']) => name)
      .filter((name) => !name.includes('*') && !placesOf(name).some((place) => existsSync(place)))
      .map((name) => `${path}: ${name}`),
  )
  expect(wrong).toEqual([])
})

/** From the root, of the broker, or of the package that it begins with. */
function placesOf(name: string): readonly string[] {
  const [first = '', ...rest] = name.split('/')
  return [name, BROKER + name, `packages/${first}/src/${rest.join('/')}`]
}
