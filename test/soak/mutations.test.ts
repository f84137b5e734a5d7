/** The mutations of `npm run soak:mutations` still apply to the source; one is applied here, and found. */
import { expect, it } from 'vitest'
import { findProgram } from '../kit/program.ts'
import { buildMutant } from './mutation-build.ts'
import { runMutation } from './mutation-run.ts'
import { MUTATIONS } from './mutations.ts'

const TIMEOUT_MS = 300_000

it.each(MUTATIONS)(
  'the source still has the place of this mutation: a broker that $name',
  ({ edits }) => {
    expect(buildMutant(edits)).toMatch(/broker.src.main\.ts$/)
  },
)

it('a mutation whose place is missing or occurs twice is an error', () => {
  const file = 'store/src/store.ts'
  for (const [find, times] of [
    ['no such text', 0],
    ['function packetIdOf', undefined],
    ['export function', 3],
  ] as const)
    if (times === undefined) buildMutant([{ file, find, replace: find }])
    else expect(() => buildMutant([{ file, find, replace: '' }])).toThrow(`is there ${times} times`)
})

it.skipIf(findProgram('redis-server') === undefined)(
  'the soak finds a broker that forgets DUP, by check G6',
  async () => {
    const mutation = MUTATIONS.find(({ name }) => name === 'forgets DUP')
    if (mutation === undefined) throw new Error('the mistake is not listed')
    const { caught, round } = await runMutation(mutation, { seed: 1, rounds: 3, seconds: 4 })
    expect(caught).toBe(true)
    expect(new Set(round.violations.map(({ guarantee }) => guarantee))).toEqual(new Set(['G6']))
  },
  TIMEOUT_MS,
)
