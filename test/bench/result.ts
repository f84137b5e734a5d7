/** A whole run as data. Its shape is versioned by `schema`; fields are only ever added. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release } from 'node:os'
import { BROKER_NAMES, CONFIGURATION, mosquittoVersion, type BrokerName } from './broker.ts'
import type { Cores } from './cores.ts'
import { judge, type Outcome, type Rival } from './goal.ts'
import type { IdleResult } from './idle.ts'
import type { Sample, Timing } from './sample.ts'
import type { Scenario } from './scenario.ts'
import { pairedByRound, spreadOf, type Spread } from './statistics.ts'

export const BENCH_SCHEMA = 'breakwater-bench/1'

export interface BrokerResult {
  readonly broker: BrokerName
  /** Over the valid samples; undefined where there is none. */
  readonly cpuUsPerMessage: Spread | undefined
  readonly messagesPerSecond: Spread | undefined
  readonly p50Ms: Spread | undefined
  readonly p99Ms: Spread | undefined
  readonly residentBytes: Spread | undefined
  readonly notes: readonly string[]
  readonly samples: readonly Sample[]
}

export interface Comparison {
  readonly against: Rival
  readonly cpuRatio: Spread
  /** Of the rounds in which the generator was in time; undefined where there was none. */
  readonly p99MarginMs: Spread | undefined
}

export interface ScenarioResult {
  readonly name: string
  readonly title: string
  readonly load: Scenario['load'] & { readonly secure: boolean }
  readonly brokers: readonly BrokerResult[]
  readonly comparisons: readonly Comparison[]
  readonly outcomes: readonly Outcome[]
}

export interface BenchResult {
  readonly schema: typeof BENCH_SCHEMA
  readonly startedAt: string
  readonly finishedAt: string
  readonly environment: {
    readonly commit: string | undefined
    readonly node: string
    readonly mosquitto: string | undefined
    readonly kernel: string
    readonly cpu: string
    readonly coreCount: number
    readonly pinnedTo: Cores | undefined
  }
  readonly configuration: typeof CONFIGURATION
  /** One short round: says that everything works; its numbers are rough. */
  readonly quick: boolean
  readonly timing: Timing
  readonly scenarios: readonly ScenarioResult[]
  readonly idle: IdleResult | undefined
}

/** Sums the samples of a scenario up. */
export function describeScenario(
  scenario: Scenario,
  samples: ReadonlyMap<BrokerName, readonly Sample[]>,
): ScenarioResult {
  const brokers = BROKER_NAMES.flatMap((broker) => {
    const taken = samples.get(broker)
    return taken === undefined ? [] : [describeBroker(broker, taken)]
  })
  const comparisons = (['mosquitto', 'stock'] as const).flatMap((rival) =>
    compare(rival, samples.get('breakwater') ?? [], samples.get(rival) ?? []),
  )
  const { name, title, load, secure, goals } = scenario
  return {
    name,
    title,
    load: { ...load, secure },
    brokers,
    comparisons,
    outcomes: goals.map((goal) =>
      judge(
        goal,
        comparisons.find(({ against }) => against === goal.against),
      ),
    ),
  }
}

function describeBroker(broker: BrokerName, samples: readonly Sample[]): BrokerResult {
  const valid = samples.filter(isValid)
  const of = (value: (sample: Sample) => number): Spread | undefined =>
    spreadOf(valid.map((sample) => value(sample)))
  const bound = valid.filter(({ generatorBound }) => generatorBound).length
  return {
    broker,
    cpuUsPerMessage: of((sample) => sample.cpuUsPerMessage),
    messagesPerSecond: of((sample) => sample.messagesPerSecond),
    p50Ms: of((sample) => sample.p50Ms),
    p99Ms: of((sample) => sample.p99Ms),
    residentBytes: of((sample) => sample.residentBytes),
    notes: [
      ...(bound > 0 ? [`generator-bound in ${bound} of ${samples.length}`] : []),
      ...samples.flatMap(({ round, invalid }) =>
        invalid === undefined ? [] : [`round ${round + 1} does not count: ${invalid}`],
      ),
    ],
    samples,
  }
}

function compare(
  against: Rival,
  ours: readonly Sample[],
  theirs: readonly Sample[],
): readonly Comparison[] {
  const pairs = [ours.filter(isValid), theirs.filter(isValid)] as const
  const cpuRatio = spreadOf(
    pairedByRound(...pairs, (a, b) => a.cpuUsPerMessage / b.cpuUsPerMessage),
  )
  const [a, b] = pairs.map((samples) => samples.filter(({ generatorBound }) => !generatorBound))
  const p99MarginMs = spreadOf(pairedByRound(a ?? [], b ?? [], (x, y) => x.p99Ms - y.p99Ms))
  return cpuRatio === undefined ? [] : [{ against, cpuRatio, p99MarginMs }]
}

function isValid({ invalid }: Sample): boolean {
  return invalid === undefined
}

export function describeBench(run: {
  readonly startedAt: Date
  readonly cores: Cores | undefined
  readonly quick: boolean
  readonly timing: Timing
  readonly scenarios: readonly ScenarioResult[]
  readonly idle: IdleResult | undefined
}): BenchResult {
  return {
    schema: BENCH_SCHEMA,
    startedAt: run.startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    environment: {
      commit: commit(),
      node: process.version,
      mosquitto: mosquittoVersion(),
      kernel: release(),
      cpu: cpus()[0]?.model ?? '',
      coreCount: availableParallelism(),
      pinnedTo: run.cores,
    },
    configuration: CONFIGURATION,
    quick: run.quick,
    timing: run.timing,
    scenarios: run.scenarios,
    idle: run.idle,
  }
}

/** Undefined outside of a git checkout. `+`: with changes that are not committed. */
function commit(): string | undefined {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'packages') !== ''
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`
  } catch {
    // No git, or no repository: the result stands without it.
    return undefined
  }
}
