/** The order of the stages is in the tree, not only in a drawing. */
import { describe, expect, test } from 'vitest'
import { filesBelow, valueImports } from './source-files.ts'

const BROKER = 'packages/broker/src/'
/** In flow order. A stage may use values of stages behind it, never of one before it. */
const STAGES = [
  'listen',
  'certificates',
  'admit',
  'connection',
  'auth',
  'control',
  'route',
  'session',
  'deliver',
  'drain',
]
/** What every stage may use: the vocabulary, and the wire format. */
const VOCABULARY = ['close-reason.ts', 'hold.ts', 'mqtt']
/** Only these know several stages and put them together. */
const COMPOSITION = [
  'node.ts',
  'start-node.ts',
  'sessions.ts',
  'subscriptions.ts',
  'dispatch.ts',
  'command.ts',
  'node-files.ts',
  'index.ts',
]

const sources = filesBelow('packages', ['.ts']).filter(
  ({ path }) => path.includes('/src/') && !path.endsWith('.test.ts'),
)
const stageOf = (path: string): string => path.slice(BROKER.length).split('/')[0] ?? ''

describe('broker', () => {
  const broker = sources.filter(({ path }) => path.startsWith(BROKER))

  test('a stage imports values only of itself, of later stages and of the vocabulary', () => {
    const wrong = broker.flatMap((file) => {
      const from = STAGES.indexOf(stageOf(file.path))
      if (from === -1) return []
      return valueImports(file)
        .filter((target) => target.startsWith(BROKER))
        .filter((target) => {
          const stage = stageOf(target)
          return !VOCABULARY.includes(stage) && STAGES.indexOf(stage) < from
        })
        .map((target) => `${file.path} imports ${target}`)
    })
    expect(wrong).toEqual([])
  })

  test('only the composition knows more than one stage', () => {
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

  test('only the control stage knows aedes', () => {
    const knows = sources.filter((file) =>
      valueImports(file).some((name) => name === 'aedes' || name.startsWith('mqtt-packet')),
    )
    expect(knows.length).toBeGreaterThan(0)
    for (const { path } of knows) expect(path).toMatch(/^packages\/broker\/src\/control\//)
  })
})

describe('packages', () => {
  test('point one way', () => {
    const order = ['config', 'metrics', 'redis', 'bus', 'cluster', 'store', 'broker']
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

  test('only config reads the environment', () => {
    const readers = sources.filter(({ text }) => text.includes('process.env'))
    expect(readers.map(({ path }) => path)).toEqual(['packages/config/src/env.ts'])
  })
})

test('no room holds more than 400 lines', () => {
  const large = [...sources, ...filesBelow('test', ['.ts', '.mjs'])]
    .filter(({ text }) => text.split('\n').length > 400)
    .map(({ path }) => path)
  expect(large).toEqual([])
})
