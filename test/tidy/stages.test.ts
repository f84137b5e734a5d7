/** The order of the stages holds in the imports of the source tree. */
import { describe, expect, test } from 'vitest'
import { filesBelow, valueImports } from './source-files.ts'

const BROKER = 'packages/broker/src/'
/** In flow order. A stage may use values of stages behind it, never of one before it. */
const STAGES = [
  'listen',
  'admit',
  'connection',
  'auth',
  'access',
  'control',
  'lifecycle',
  'route',
  'retained',
  'shared',
  'session',
  'deliver',
  'drain',
]
/** What every stage may use: what connections end and wait for, rates, files that are watched, events and the log. */
const VOCABULARY =
  /^(connection\/(close-reason|hold)\.ts|admit\/token-bucket\.ts|(files|observe|log)\/.*)$/
/** Only these know several stages and put them together. */
const COMPOSITION = ['start-node.ts', 'node.ts', 'dispatch.ts', 'main.ts', 'index.ts']

const sources = filesBelow('packages', ['.ts']).filter(
  ({ path }) => path.includes('/src/') && !path.endsWith('.test.ts'),
)
const stageOf = (path: string): string => path.slice(BROKER.length).split('/')[0] ?? ''

describe('in the broker package', () => {
  const broker = sources.filter(({ path }) => path.startsWith(BROKER))

  test('a stage imports values only from itself, later stages and the vocabulary', () => {
    const wrong = broker.flatMap((file) => {
      const from = STAGES.indexOf(stageOf(file.path))
      if (from === -1) return []
      return valueImports(file)
        .filter((target) => target.startsWith(BROKER))
        .filter((target) => {
          const stage = stageOf(target)
          return !VOCABULARY.test(target.slice(BROKER.length)) && STAGES.indexOf(stage) < from
        })
        .map((target) => `${file.path} imports ${target}`)
    })
    expect(wrong).toEqual([])
  })

  test('only the composition imports more than one stage', () => {
    const wrong = broker.filter((file) => {
      const name = file.path.slice(BROKER.length)
      if (name.includes('/') || COMPOSITION.includes(name)) return false
      const stages = valueImports(file)
        .filter((target) => target.startsWith(BROKER))
        .map(stageOf)
        .filter((stage) => STAGES.includes(stage))
      return new Set(stages).size > 1
    })
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('only the control stage imports aedes', () => {
    const knows = sources.filter((file) =>
      valueImports(file).some((name) => name === 'aedes' || name.startsWith('mqtt-packet')),
    )
    expect(knows.length).toBeGreaterThan(0)
    for (const { path } of knows) expect(path).toMatch(/^packages\/broker\/src\/control\//)
  })
})

describe('among all packages', () => {
  test('imports point in one direction', () => {
    const order = [
      'mqtt',
      'matching',
      'config',
      'certificates',
      'metrics',
      'redis',
      'bus',
      'cluster',
      'store',
      'broker',
    ]
    const wrong = sources.flatMap((file) => {
      const own = file.path.split('/')[1] ?? ''
      return valueImports(file).flatMap((name) => {
        const other = /^@breakwater\/(\w+)/.exec(name)?.[1]
        if (other === undefined) return []
        const fine = own !== 'simulator' && order.indexOf(other) < order.indexOf(own)
        return fine ? [] : [`${file.path} imports ${name}`]
      })
    })
    expect(wrong).toEqual([])
  })

  test('only the config package reads environment variables', () => {
    const readers = sources.filter(({ text }) => text.includes('process.env'))
    expect(readers.map(({ path }) => path)).toEqual(['packages/config/src/env.ts'])
  })
})

test('no source file has more than 400 lines', () => {
  const large = [...sources, ...filesBelow('test', ['.ts', '.mjs'])]
    .filter(({ text }) => text.split('\n').length > 400)
    .map(({ path }) => path)
  expect(large).toEqual([])
})
