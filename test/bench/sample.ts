/** One broker under one load for a few seconds, and whether the numbers may be used. */
import { ExitCode, type FleetInput } from '@breakwater/simulator'
import type { BenchBroker } from './broker.ts'
import type { Generator, LoadResult } from './generator.ts'
import type { Scenario } from './scenario.ts'

export interface Sample {
  readonly round: number
  readonly cpuUsPerMessage: number
  readonly messagesPerSecond: number
  /** From sending to delivery. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly residentBytes: number
  /** Shares of one core. */
  readonly brokerCpu: number
  readonly generatorCpu: number
  readonly foreignCpu: number
  /** The generator had no time left, or was late: the rate is its own, latencies are not valid. */
  readonly generatorBound: boolean
  /** Why the sample does not count. */
  readonly invalid?: string
}

export interface Timing {
  readonly rounds: number
  readonly warmupMs: number
  readonly durationMs: number
}

const GENERATOR_CPU_MAX = 0.92
const CONNECT_RATE = 2_000
// Another process may have the core for a while; a broker that is late has not lost anything.
const DRAIN_MS = 10_000
const MILLISECOND_US = 1_000

interface SampleOptions {
  readonly broker: BenchBroker
  readonly generator: Generator
  readonly timing: Timing
  readonly ca: string
}

/** A sample that does not count is taken once more; both are in the result. */
export async function takeSample(
  round: number,
  scenario: Scenario,
  options: SampleOptions,
): Promise<readonly Sample[]> {
  const first = await attempt(round, scenario, options)
  if (first.invalid === undefined) return [first]
  return [first, await attempt(round, scenario, options)]
}

async function attempt(round: number, scenario: Scenario, options: SampleOptions): Promise<Sample> {
  const { broker, generator, timing, ca } = options
  const input: FleetInput = {
    command: 'pubsub',
    urls: [broker.url],
    ...scenario.load,
    connectRate: CONNECT_RATE,
    warmupMs: timing.warmupMs,
    durationMs: timing.durationMs,
    drainMs: DRAIN_MS,
    ...(scenario.secure && { ca }),
    watchPids: [broker.pid],
  }
  try {
    return describeSample(round, await generator.run(input))
  } catch (error) {
    return { ...NOTHING, round, invalid: (error as Error).message }
  }
}

const NOTHING: Omit<Sample, 'round' | 'invalid'> = {
  cpuUsPerMessage: 0,
  messagesPerSecond: 0,
  p50Ms: 0,
  p99Ms: 0,
  residentBytes: 0,
  brokerCpu: 0,
  generatorCpu: 0,
  foreignCpu: 0,
  generatorBound: false,
}

function describeSample(round: number, { result, hostBusyMs }: LoadResult): Sample {
  const { verdict, delivered, generator, latency, run, published } = result
  const watched = result.watched[0]
  const brokerMs = watched?.cpuMs ?? 0
  const generatorMs = generator.cpuShare * run.measuredMs
  const invalid = reasonAgainst(verdict.exitCode, verdict.reasons)
  const share = (cpuMs: number): number => rounded(cpuMs / run.measuredMs, 3)
  return {
    round,
    cpuUsPerMessage: rounded((brokerMs * MILLISECOND_US) / Math.max(1, delivered.measured), 4),
    messagesPerSecond: Math.round(delivered.perSecond),
    p50Ms: latency.transit.p50Ms,
    p99Ms: latency.transit.p99Ms,
    residentBytes: watched?.residentBytes ?? 0,
    brokerCpu: share(brokerMs),
    generatorCpu: share(generatorMs),
    foreignCpu: share(Math.max(0, hostBusyMs - brokerMs - generatorMs)),
    generatorBound: generator.overloaded || generator.cpuShare > GENERATOR_CPU_MAX,
    ...(published.stalls > 0 ? { invalid: `stalled ${published.stalls} times` } : {}),
    ...(invalid === undefined ? {} : { invalid }),
  }
}

/** A generator that was late spoils latencies, not the cost: everything else makes a sample void. */
function reasonAgainst(code: ExitCode, reasons: readonly string[]): string | undefined {
  return code === ExitCode.ok || code === ExitCode.overloaded ? undefined : reasons.join('; ')
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
