import { topicMatchesFilter } from '@breakwater/mqtt'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RetainedIndex } from '../../packages/broker/src/retained/retained-index.ts'

/* The model of the index is a Set of topics that is searched in full. */

interface Step {
  readonly kind: 'add' | 'delete'
  readonly topic: string
}

const nameLevel = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c') },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '',
      '$SYS',
      '$',
      '__proto__',
      'é with thirteen or more',
      '😀 with thirteen or more',
      '\ud83d alone, with thirteen or more',
    ),
  },
)
const topic = fc
  .array(nameLevel, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '')
const filter = fc
  .tuple(
    fc.array(fc.oneof({ weight: 2, arbitrary: nameLevel }, fc.constant('+')), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([levels, multi]) => [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), topic }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), topic }) },
)
const steps = fc.array(step, { maxLength: 60 })

function apply(index: RetainedIndex, model: Set<string>, { kind, topic: name }: Step): void {
  const had = model.has(name)
  model[kind](name)
  expect(index[kind](name)).toBe(kind === 'delete' ? had : !had)
  expect(index.has(name)).toBe(kind === 'add')
  expect(index.size).toBe(model.size)
}

const matching = (model: ReadonlySet<string>, pattern: string): string[] =>
  [...model].filter((name) => topicMatchesFilter(name, pattern)).sort()

describe('the retained index', () => {
  it('finds the same topics as its model after any sequence of changes', () => {
    const filters = fc.array(filter, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(steps, filters, (changes, patterns) => {
        const index = new RetainedIndex()
        const model = new Set<string>()
        for (const change of changes) {
          apply(index, model, change)
          for (const pattern of patterns) {
            expect([...index.match(pattern)].sort()).toEqual(matching(model, pattern))
          }
        }
        for (const name of model) expect(index.delete(name)).toBe(true)
        expect([...index.match('#'), ...index.match('$SYS/#')]).toEqual([])
        expect(index.size).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  it('finds every topic that stays, and no topic that never existed, while it changes during a walk', () => {
    fc.assert(
      fc.property(steps, steps, filter, (before, meanwhile, pattern) => {
        const index = new RetainedIndex()
        const model = new Set<string>()
        for (const change of before) apply(index, model, change)
        const ever = new Set(model)
        const always = new Set(model)
        const found: string[] = []
        let next = 0
        for (const name of index.match(pattern)) {
          found.push(name)
          for (const change of meanwhile.slice(next, next + 3)) {
            apply(index, model, change)
            if (change.kind === 'add') ever.add(change.topic)
            else always.delete(change.topic)
          }
          next += 3
        }
        expect(found).toEqual(expect.arrayContaining(matching(always, pattern)))
        expect(matching(ever, pattern)).toEqual(expect.arrayContaining(found))
        expect(new Set(found).size).toBe(found.length)
        expect([...index.match(pattern)].sort()).toEqual(matching(model, pattern))
      }),
      { numRuns: 1_000 },
    )
  })
})
