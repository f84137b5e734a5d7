/**
 * A recorded version and this one in one cluster [G10]: nodes are replaced one after the other, the first one
 * back again, under the load of a soak round, and the history of every client is judged by every promise.
 */
import { expect, it } from 'vitest'
import { MAIN } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { NODE_NAMES, drawPlan } from '../soak/plan.ts'
import { storiesOf } from '../soak/report.ts'
import { runRound } from '../soak/round.ts'
import { unpackPrevious } from './previous.ts'

const SEED = 1
/** In which the plan drops clients and moves them; the nodes take longer. */
const FAULT_SECONDS = 5
/** Three become new, then one old again: it finds what a cluster of new ones has written. */
const ROLLS = [0, 1, 2, 0] as const
const TIMEOUT_MS = 300_000

it(
  'a cluster keeps every promise during a rolling upgrade from the recorded version, with one node rolled back',
  async (context) => {
    if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
    const previous = unpackPrevious()
    const kinds = ['client-drop', 'take-over', 'client-replies-lost'] as const
    const round = await runRound({
      plan: drawPlan({ seed: SEED, seconds: FAULT_SECONDS, kinds }),
      mains: [previous, MAIN, previous],
      meanwhile: async (cluster, recorder) => {
        for (const index of ROLLS) {
          const target = NODE_NAMES[index]
          recorder.record({ kind: 'fault', fault: 'roll-node', target, phase: 'begin' })
          await cluster.roll(index)
          recorder.record({ kind: 'fault', fault: 'roll-node', target, phase: 'end' })
        }
      },
    })
    expect(round.violations.length, storiesOf(round).join('\n')).toBe(0)
  },
  TIMEOUT_MS,
)
