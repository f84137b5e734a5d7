/**
 * The short form of the soak: a few seeds, every kind of fault, every promise checked. A seed that failed once
 * and was mended stays in the list.
 */
import { expect, it } from 'vitest'
import { findProgram } from '../kit/program.ts'
import { drawPlan } from './plan.ts'
import { replayCommand, scheduleOf, storiesOf } from './report.ts'
import { runRound } from './round.ts'

const SEEDS = [1, 2, 3]
const FAULT_SECONDS = 6
/** About 20 s each, where nothing else wants the cores. */
const TIMEOUT_MS = 300_000

// Redis is restarted and starved here, which only a server of the test's own can be.
it.skipIf(findProgram('redis-server') === undefined).each(SEEDS)(
  'a cluster keeps every promise under the faults of soak seed %i',
  async (seed) => {
    const plan = drawPlan({ seed, seconds: FAULT_SECONDS })
    const round = await runRound({ plan })
    const story = [...storiesOf(round), ...scheduleOf(round), `again: ${replayCommand(round)}`]
    expect(round.violations.length, story.join('\n')).toBe(0)
  },
  TIMEOUT_MS,
)
