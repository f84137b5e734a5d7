/** Runs a mutant until it is caught, for a bounded number of seeds. */
import { buildMutant } from './mutation-build.ts'
import type { Mutation } from './mutations.ts'
import { drawPlan } from './plan.ts'
import { runRound, type RoundResult } from './round.ts'

export interface MutationOptions {
  readonly seed: number
  /** Rounds with the next seeds, if the first one does not show it. */
  readonly rounds: number
  readonly seconds: number
}

export interface MutationResult {
  readonly caught: boolean
  /** The last round, or the one that caught it. */
  readonly round: RoundResult
}

export async function runMutation(
  { edits, breaks, faults }: Mutation,
  { seed, rounds, seconds }: MutationOptions,
): Promise<MutationResult> {
  const main = buildMutant(edits)
  for (let round = 0; ; round += 1) {
    const plan = drawPlan({ seed: seed + round, seconds, kinds: faults })
    const result = await runRound({ plan, mains: [main] })
    const caught = result.violations.some(({ guarantee }) => guarantee === breaks)
    if (caught || round + 1 >= rounds) return { caught, round: result }
  }
}
