/** The model beside the machine: the same load on some nodes here, and what the model says of it. */
import { readFileSync } from 'node:fs'
import { runLoad } from './load.ts'
import { messagesPerTurn, predict } from './model.ts'
import { startNodes, sum } from './rig.ts'
import type { UnitCosts } from './unit-costs.ts'

export interface Comparison {
  readonly nodes: number
  readonly qos: 0 | 1
  readonly messagesPerSecond: number
  /** Percent of a core, each node; the prediction is given how many messages a turn took. */
  readonly node: Beside
  readonly redis: Beside
  /** Frames between nodes per second, all together; the prediction is given nothing. */
  readonly frames: Beside
}

interface Beside {
  readonly predicted: number
  readonly measured: number
}

export const VALIDATION_FILE: URL = new URL('validation.json', import.meta.url)
const SIZES = [2, 3, 5] as const
const SECONDS = 8
/** A node that has just started compiles its code first; the unit costs are those of one that has. */
const WARM_SECONDS = 15
/** Of all nodes together: what two cores carry beside the clients. */
const RATES = [
  { qos: 0, messagesPerSecond: 3_000 },
  { qos: 1, messagesPerSecond: 1_500 },
] as const

export async function validate(
  costs: UnitCosts,
  say: (what: string) => void,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = []
  for (const nodes of SIZES) {
    await using rig = await startNodes(nodes)
    const all = Array.from({ length: nodes }, (_, index) => index)
    for (const { qos, messagesPerSecond } of RATES) {
      say(`${nodes} nodes, QoS ${qos}`)
      const plan = { qos, messagesPerSecond, burst: 1, from: all, to: all, seconds: SECONDS }
      await runLoad(rig, { ...plan, seconds: WARM_SECONDS })
      const { messages, seconds, used } = await runLoad(rig, plan)
      const rate = messages / seconds
      const load = { nodes, messagesPerSecond: rate, qos } as const
      const frames = sum(used.frames)
      const known = { messagesPerTurn: messagesPerTurn(nodes, frames / messages) }
      const said = predict(costs, { ...load, ...known })
      comparisons.push({
        nodes,
        qos,
        messagesPerSecond: rate,
        node: {
          predicted: said.nodeCores * 100,
          measured: sum(used.nodesUs) / nodes / seconds / 10_000,
        },
        redis: {
          predicted: said.redisCores * 100,
          measured: used.redisUs / seconds / 10_000,
        },
        frames: {
          predicted: predict(costs, load).framesPerSecond * nodes,
          measured: frames / seconds,
        },
      })
    }
  }
  return comparisons
}

/** What was found last. */
export function readValidation(): readonly Comparison[] {
  return JSON.parse(readFileSync(VALIDATION_FILE, 'utf8')) as Comparison[]
}
