/**
 * One round: a cluster starts, clients come, faults are injected, everything is mended, clients drain, some go
 * without DISCONNECT, some come late, and all end their sessions; then the history is judged. A round starts and ends all that it needs.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { checkHistory } from './check/check.ts'
import { checkLeftovers } from './check/no-leftovers.ts'
import type { Violation } from './check/violation.ts'
import { Device } from './device.ts'
import { comeLate, drain, leaveWithoutWord, until } from './ending.ts'
import { injectAll } from './fault-injector.ts'
import { Recorder, type HistoryLine } from './history.ts'
import { Link } from './link.ts'
import { keysAtRest } from './leftovers.ts'
import { readBooks } from './books.ts'
import type { DevicePlan, RoundPlan } from './plan.ts'
import { randomOf } from './random.ts'
import { SoakCluster, type NodeLog } from './soak-cluster.ts'

export interface RoundOptions {
  readonly plan: RoundPlan
  /** The program of a node in each of its lives, if it is not that of this checkout. The last one stays. */
  readonly mains?: readonly string[]
  /** What is done to the nodes beside the faults of the plan. */
  readonly meanwhile?: (cluster: SoakCluster, recorder: Recorder) => Promise<void>
  readonly onPhase?: (phase: string, lines: readonly HistoryLine[]) => void
}

export interface RoundResult {
  readonly plan: RoundPlan
  readonly lines: readonly HistoryLine[]
  readonly violations: readonly Violation[]
  readonly logs: readonly NodeLog[]
  readonly seconds: number
}

const BEGIN_MAX_MS = 15_000

export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { plan, mains, meanwhile, onPhase = () => undefined } = options
  const recorder = new Recorder()
  const { lines } = recorder
  onPhase('start', lines)
  await using stack = new AsyncDisposableStack()
  const cluster = stack.use(await SoakCluster.start(recorder, mains))
  const links = new Map<string, Link>()
  const devices = new Map<string, Device>()
  for (const device of [...plan.devices, ...plan.late]) {
    const link = stack.use(await Link.open())
    links.set(device.id, link)
    const random = randomOf(plan.seed, device.id)
    devices.set(device.id, new Device({ plan: device, recorder, random, link, doors: cluster }))
  }
  stack.defer(() => {
    for (const device of devices.values()) device.abort()
  })
  const named = (plans: readonly DevicePlan[]): Device[] =>
    plans.map(({ id }) => devices.get(id) as Device)
  const all = named(plan.devices)
  for (const device of all) device.start()
  const began = await until(() => all.every(({ settled }) => settled), BEGIN_MAX_MS)
  if (!began) throw new Error(`not connected: ${names(all.filter(({ settled }) => !settled))}`)
  for (const device of all) device.startPublishing()
  onPhase('faults', lines)
  const faults = injectAll(plan.faults, { cluster, recorder, devices, links })
  await Promise.all([faults, meanwhile?.(cluster, recorder)])
  await delay(Math.max(0, plan.faultsMs - recorder.now()))

  onPhase('drain', lines)
  for (const device of all) device.stopPublishing()
  const stuck = await drain(all, recorder)
  onPhase('end', lines)
  const ghosts = all.filter(({ plan: { id } }) => id.startsWith('ghost-'))
  await leaveWithoutWord(ghosts, cluster, recorder)
  const here = all.filter((device) => !ghosts.includes(device))
  const late = named(plan.late)
  stuck.push(...(await comeLate(late, here, recorder)))
  const read = lines.slice()
  onPhase('leave', lines)
  const books = await readBooks(cluster.nodes)
  const left = await Promise.all(
    [...here, ...late].map(async (device) => [device, await device.leave()] as const),
  )
  for (const [device, ended] of left) if (!ended) stuck.push(`${device.plan.id} could not leave`)
  const alive = cluster.nodes.map(({ node }) => node.id)
  const { prefix } = cluster.redis
  const keys = await keysAtRest(cluster.admin, prefix, (found) => {
    return checkLeftovers({ keys: found, prefix, alive, at: 0 }).length === 0
  })
  onPhase('check', lines)
  stuck.push(...cluster.crashes)
  const violations = checkHistory(read, { keys, prefix, alive, books, stuck })
  const { logs } = cluster
  return { plan, lines: read, violations, logs, seconds: recorder.now() / 1_000 }
}

function names(devices: readonly Device[]): string {
  return devices.map((device) => `${device.plan.id} (${device.describe()})`).join(', ')
}
