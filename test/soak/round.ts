/**
 * One round: a cluster starts, clients come, faults are injected, everything is mended, clients drain and end
 * their sessions; then the history is judged. What it needs, it makes; what it made, it ends.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { checkHistory, type CheckOptions } from './check/check.ts'
import type { Violation } from './check/violation.ts'
import { Device } from './device.ts'
import { injectAll } from './fault-injector.ts'
import { Recorder, type HistoryLine } from './history.ts'
import { Link } from './link.ts'
import { scanKeys } from './leftovers.ts'
import { readBooks } from './books.ts'
import type { RoundPlan } from './plan.ts'
import { randomOf } from './random.ts'
import { SoakCluster } from './soak-cluster.ts'

export interface RoundOptions {
  readonly plan: RoundPlan
  /** The program of the nodes, if it is not that of this checkout. */
  readonly main?: string
  readonly check: CheckOptions
  readonly onPhase?: (phase: string, lines: readonly HistoryLine[]) => void
}

export interface RoundResult {
  readonly plan: RoundPlan
  readonly lines: readonly HistoryLine[]
  readonly violations: readonly Violation[]
  readonly seconds: number
}

/** After the last fault: what has not come until then has not come. */
const DRAIN_MAX_MS = 25_000
const QUIET_MS = 600
const SETTLE_MAX_MS = 15_000
const POLL_MS = 50

export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { plan, main, onPhase = () => undefined } = options
  const recorder = new Recorder()
  const { lines } = recorder
  onPhase('start', lines)
  await using stack = new AsyncDisposableStack()
  const cluster = stack.use(await SoakCluster.start(recorder, main))
  const links = new Map<string, Link>()
  const devices = new Map<string, Device>()
  for (const device of plan.devices) {
    const link = stack.use(await Link.open())
    links.set(device.id, link)
    const random = randomOf(plan.seed, device.id)
    const parts = { plan: device, recorder, random, link, doors: cluster }
    devices.set(device.id, new Device({ ...parts, wills: options.check.wills }))
  }
  stack.defer(() => {
    for (const device of devices.values()) device.abort()
  })
  const all = [...devices.values()]

  for (const device of all) device.start()
  const began = await until(() => all.every(({ settled }) => settled), SETTLE_MAX_MS)
  if (!began) throw new Error(`not connected: ${names(all.filter(({ settled }) => !settled))}`)
  for (const device of all) device.startPublishing()
  onPhase('faults', lines)
  await injectAll(plan.faults, { cluster, recorder, devices, links })
  await delay(Math.max(0, plan.faultsMs - recorder.now()))

  onPhase('drain', lines)
  for (const device of all) device.stopPublishing()
  const stuck = await drain(all, recorder)
  const read = lines.slice()
  onPhase('leave', lines)
  const books = await readBooks(cluster.nodes)
  const left = await Promise.all(all.map(async (device) => [device, await device.leave()] as const))
  for (const [device, ended] of left) if (!ended) stuck.push(`${device.plan.id} could not leave`)
  // The last connections end at their nodes after they have ended here.
  await delay(QUIET_MS)
  const keys = await scanKeys(cluster.admin, cluster.redis.prefix)
  onPhase('check', lines)
  const alive = cluster.nodes.map(({ node }) => node.id)
  stuck.push(...cluster.crashes)
  const facts = { keys, prefix: cluster.redis.prefix, alive, books, stuck }
  const violations = checkHistory(read, facts, options.check)
  return { plan, lines: read, violations, seconds: recorder.now() / 1_000 }
}

/** All faults are over: every persistent client comes anew, and everybody reads until nothing comes. */
async function drain(devices: readonly Device[], recorder: Recorder): Promise<string[]> {
  const stuck: string[] = []
  const settled = async (what: string): Promise<void> => {
    const ok = await until(() => devices.every((device) => device.settled), DRAIN_MAX_MS)
    if (ok) return
    for (const device of devices)
      if (!device.settled) stuck.push(`${device.plan.id} ${what}: ${device.describe()}`)
  }
  await settled('had not settled')
  for (const device of devices) if (!device.plan.clean) device.drop()
  // Their ends are seen at the next turn.
  await delay(POLL_MS)
  await settled('had not settled after it came anew')
  let seen = -1
  await until(
    () => {
      const isQuiet = seen === recorder.lines.length
      seen = recorder.lines.length
      return isQuiet
    },
    DRAIN_MAX_MS,
    QUIET_MS,
  )
  return stuck
}

async function until(isSo: () => boolean, timeoutMs: number, pollMs = POLL_MS): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!isSo()) {
    if (performance.now() > deadline) return false
    await delay(pollMs)
  }
  return true
}

function names(devices: readonly Device[]): string {
  return devices.map((device) => `${device.plan.id} (${device.describe()})`).join(', ')
}
