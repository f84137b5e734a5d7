/**
 * What an idle, subscribed TLS connection holds: how much resident memory a second fleet adds to a first
 * one, which has brought the process to its working size, per connection of the second.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { FleetInput } from '@breakwater/simulator'
import { startBroker, type BenchBroker, type BrokerName, type Certificates } from './broker.ts'
import { pin, type Cores } from './cores.ts'
import type { Outcome } from './goal.ts'
import type { Generator } from './generator.ts'
import type { Memory } from './node-process.ts'
import { rounded } from './sample.ts'
import { pairedByRound, spreadOf, type Spread } from './statistics.ts'

export type IdleName = BrokerName | 'bare'

export interface IdlePlan {
  readonly first: number
  readonly second: number
  readonly settleMs: number
  readonly rounds: number
}

export const IDLE_NAME = 'idle-tls'
export const IDLE_PLAN: IdlePlan = { first: 500, second: 1_500, settleMs: 300, rounds: 2 }
export const QUICK_IDLE_PLAN: IdlePlan = { first: 200, second: 400, settleMs: 100, rounds: 1 }

/** KiB per connection. */
export interface IdleSample {
  readonly round: number
  readonly residentKib: number
  /** Of it in objects of V8; unknown for what is not Node. */
  readonly heapKib?: number
}

export interface IdleResult {
  readonly plan: IdlePlan
  readonly brokers: readonly {
    readonly broker: IdleName
    readonly residentKib: Spread
    readonly heapKib: Spread | undefined
    readonly samples: readonly IdleSample[]
  }[]
  readonly outcomes: readonly Outcome[]
}

const AT_MOST = 1.15
const STRETCH_KIB = 30
// Handshakes one after the other: what many at once need for a moment, the allocator keeps for later.
const CONNECT_RATE = 500
const CONNECT_TIMEOUT_MS = 60_000
const FOREVER_MS = 3_600_000
const KIB = 1_024

interface IdleOptions {
  readonly plan: IdlePlan
  readonly names: readonly IdleName[]
  readonly certificates: Certificates
  readonly generator: Generator
  readonly cores: Cores | undefined
  readonly onSample: (broker: IdleName, sample: IdleSample) => void
}

export async function measureIdle(options: IdleOptions): Promise<IdleResult> {
  const { plan, names, onSample } = options
  const samples = new Map<IdleName, IdleSample[]>(names.map((name) => [name, []]))
  for (let round = 0; round < plan.rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const sample = { round, ...(await measure(name, options)) }
      samples.get(name)?.push(sample)
      onSample(name, sample)
    }
  }
  return describeIdle(plan, samples)
}

async function measure(name: IdleName, options: IdleOptions): Promise<Omit<IdleSample, 'round'>> {
  const { plan, certificates, generator, cores } = options
  await using broker = await startBroker[name]({ secure: true, certificates, measuresMemory: true })
  pin(broker.pid, cores?.broker)
  const memories: Memory[] = []
  try {
    for (const devices of [plan.first, plan.second]) {
      await generator.hold(fleet(broker, devices, certificates.ca))
      await delay(plan.settleMs)
      memories.push(await broker.memory())
    }
  } finally {
    await generator.release()
  }
  const [before, after] = memories as [Memory, Memory]
  const perConnection = (value: (memory: Memory) => number): number =>
    rounded((value(after) - value(before)) / plan.second / KIB, 2)
  return {
    residentKib: perConnection(({ residentBytes }) => residentBytes),
    ...(after.heapBytes !== undefined && {
      heapKib: perConnection(({ heapBytes }) => heapBytes ?? 0),
    }),
  }
}

function fleet(broker: BenchBroker, devices: number, ca: string): FleetInput {
  return {
    command: 'sub',
    urls: [broker.url],
    devices,
    ca,
    connectRate: CONNECT_RATE,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    durationMs: FOREVER_MS,
    keepAliveS: 600,
  }
}

function describeIdle(
  plan: IdlePlan,
  samples: ReadonlyMap<IdleName, readonly IdleSample[]>,
): IdleResult {
  const brokers = [...samples].flatMap(([broker, taken]) => {
    const residentKib = spreadOf(taken.map((sample) => sample.residentKib))
    const heapKib = spreadOf(taken.flatMap((sample) => sample.heapKib ?? []))
    return residentKib === undefined ? [] : [{ broker, residentKib, heapKib, samples: taken }]
  })
  const ours = samples.get('breakwater') ?? []
  const ratio = spreadOf(
    pairedByRound(ours, samples.get('bare') ?? [], (a, b) => a.residentKib / b.residentKib),
  )?.median
  const kib = spreadOf(ours.map(({ residentKib }) => residentKib))?.median
  return {
    plan,
    brokers,
    outcomes: [
      outcome(`memory ≤ ${AT_MOST} × bare tls.Server`, ratio, AT_MOST),
      outcome(`stretch: ≤ ${STRETCH_KIB} KiB`, kib, STRETCH_KIB),
    ],
  }
}

function outcome(goal: string, measured: number | undefined, bound: number): Outcome {
  return { goal, measured, reached: measured === undefined ? undefined : measured <= bound }
}
