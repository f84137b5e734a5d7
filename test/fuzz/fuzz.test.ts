/** The short form of `npm run fuzz`: the seeds that once found a fault, and a new seed each time. */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fuzz } from './fuzz-run.ts'
import { KEPT_SEEDS } from './kept-seeds.ts'

const CONVERSATIONS = 600

describe('a node that is sent random bytes blames the client, and serves all other clients', () => {
  it.each([...KEPT_SEEDS, randomInt(2 ** 31)])(
    'seed %i',
    async (seed) => {
      const { held, reasons } = await fuzz({ seed, isEnough: (held) => held >= CONVERSATIONS })
      const ends = Object.values(reasons).reduce((sum, count) => sum + count, 0)
      expect(ends).toBeGreaterThan(held * 0.9)
      expect(Object.keys(reasons).length).toBeGreaterThan(5)
    },
    120_000,
  )
})
