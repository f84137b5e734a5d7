/**
 * Two of our nodes beside two stock nodes and two NATS servers: CPU of all processes per delivered message, in
 * interleaved rounds, the middle of each, and what share of the others ours is.
 */
import { print, startRig, type Cost, type Rig } from './backplane-rig.ts'
import { startNatsRig, startStockRig } from './backplane-others.ts'
import { saturate, storeAndDeliver, type Traffic } from './backplane-traffic.ts'

const ROUNDS = 3
const SATURATED_MS = 2_000
const QOS1_MESSAGES = 10_000

interface Contest {
  readonly title: string
  readonly measure: (rig: Rig) => Promise<Traffic>
  readonly others: readonly Contender[]
}

interface Contender {
  readonly name: string
  readonly start: () => Promise<Rig | undefined>
  /** The most that ours may cost, as a share of this one. */
  readonly goal: number
}

const contests: readonly Contest[] = [
  {
    title: 'cross-node QoS 0 saturated',
    measure: (rig) => saturate(rig, SATURATED_MS),
    others: [
      { name: 'stock', start: startStockRig, goal: 0.1 },
      { name: 'NATS', start: startNatsRig, goal: 0.7 },
    ],
  },
  {
    title: 'persistent QoS 1',
    measure: (rig) => storeAndDeliver(rig, QOS1_MESSAGES),
    others: [{ name: 'stock', start: startStockRig, goal: 0.3 }],
  },
]

export async function compare(): Promise<void> {
  for (const { title, measure, others } of contests) {
    const costs = new Map<string, Cost[]>()
    const contenders = [{ name: 'breakwater', start: startRig }, ...others]
    print(title, `µs of CPU per delivered message, ${ROUNDS} rounds, then the middle of each`)
    row(['', 'A', 'B', 'Redis', 'sum', 'ours / it', 'goal'])
    for (let round = 0; round < ROUNDS; round++)
      for (const { name, start } of contenders) {
        await using rig = await start()
        if (rig === undefined) continue
        const { cost } = await measure(rig)
        row([name, ...figures(cost)])
        costs.set(name, [...(costs.get(name) ?? []), cost])
      }
    const ours = middle(costs.get('breakwater') ?? [])
    if (ours !== undefined) row(['breakwater', ...figures(ours), 'middle'])
    for (const { name, goal } of others) {
      const cost = middle(costs.get(name) ?? [])
      if (cost === undefined || ours === undefined) row([name, 'not installed'])
      else row([name, ...figures(cost), (ours.sum / cost.sum).toFixed(2), `<= ${goal}`])
    }
  }
}

function middle(costs: readonly Cost[]): Cost | undefined {
  return costs.toSorted((a, b) => a.sum - b.sum)[Math.floor(costs.length / 2)]
}

function figures({ a, b, redis, sum }: Cost): string[] {
  return [a, b, redis, sum].map((us) => us.toFixed(1))
}

function row(cells: readonly string[]): void {
  const [name = '', ...rest] = cells
  process.stdout.write(`  ${name.padEnd(11)}${rest.map((cell) => cell.padStart(10)).join('')}\n`)
}
