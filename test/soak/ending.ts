/**
 * The end of a round, when all faults are over: every persistent client comes anew; then some clients go for good,
 * one of them with its node, and new ones come to read what is retained. Each step waits until nothing comes any
 * more, and no longer than its bound: what has not come until then has not come.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Device } from './device.ts'
import type { HistoryLine, Recorder } from './history.ts'
import { NODE_NAMES } from './plan.ts'
import type { SoakCluster } from './soak-cluster.ts'

const SETTLE_MAX_MS = 25_000
const QUIET_MS = 600
/** A lease, that of the judge, and what a node needs to adopt the clients of another. */
const LAST_WORDS_MAX_MS = 30_000
const POLL_MS = 50

/** Resolves when every client has read everything; with the clients that could not, and why. */
export async function drain(devices: readonly Device[], recorder: Recorder): Promise<string[]> {
  const stuck = await settle(devices, 'had not settled')
  for (const device of devices) if (!device.plan.clean) device.drop()
  // Their ends are seen at the next turn.
  await delay(POLL_MS)
  stuck.push(...(await settle(devices, 'had not settled after it came anew')))
  await untilQuiet(recorder)
  return stuck
}

/** Two go: one loses its connection, the other one its node. Resolves when their wills have come, or are late. */
export async function leaveWithoutWord(
  [first, second]: readonly Device[],
  cluster: SoakCluster,
  recorder: Recorder,
): Promise<void> {
  if (first === undefined || second === undefined) return
  const wills = new Set([first, second].map(({ plan }) => lastWill(recorder.lines, plan.id)))
  const { node } = second
  const fault = { kind: 'fault', fault: 'kill-node', target: NODE_NAMES[node] ?? '?' } as const
  for (const device of [first, second]) device.stayAway()
  first.drop()
  recorder.record({ ...fault, phase: 'begin' })
  await cluster.kill(node)
  await cluster.restart(node)
  recorder.record({ ...fault, phase: 'end' })
  let read = 0
  await until(() => {
    for (; read < recorder.lines.length; read += 1) {
      const line = recorder.lines[read]
      if (line?.kind === 'delivered') wills.delete(line.message)
    }
    return wills.size === 0
  }, LAST_WORDS_MAX_MS)
}

/** One comes to each node. */
export async function comeLate(
  late: readonly Device[],
  others: readonly Device[],
  recorder: Recorder,
): Promise<string[]> {
  for (const [node, device] of late.entries()) device.start(node)
  const stuck = await settle([...others, ...late], 'had not settled at the end')
  await untilQuiet(recorder)
  return stuck
}

export async function until(
  isSo: () => boolean,
  timeoutMs: number,
  pollMs = POLL_MS,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!isSo()) {
    if (performance.now() > deadline) return false
    await delay(pollMs)
  }
  return true
}

async function settle(devices: readonly Device[], what: string): Promise<string[]> {
  await until(() => devices.every((device) => device.settled), SETTLE_MAX_MS)
  return devices
    .filter((device) => !device.settled)
    .map((device) => `${device.plan.id} ${what}: ${device.describe()}`)
}

async function untilQuiet({ lines }: Recorder): Promise<void> {
  let seen = -1
  await until(
    () => {
      const isQuiet = seen === lines.length
      seen = lines.length
      return isQuiet
    },
    SETTLE_MAX_MS,
    QUIET_MS,
  )
}

function lastWill(lines: readonly HistoryLine[], client: string): string {
  const last = lines.findLast((line) => line.kind === 'connect' && line.client === client)
  return last?.kind === 'connect' ? (last.will ?? '') : ''
}
