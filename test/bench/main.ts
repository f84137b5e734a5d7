/**
 * The benchmark: Breakwater, the stock node and Mosquitto in one run, in turn on the same load.
 *
 * Per scenario all three start as processes of their own and one after the other is loaded, A B C then
 * C B A, while the others idle: what else the machine does weighs on all of them alike. Judged is
 * the CPU time of the broker's process per delivered message, as a ratio within a round. A sample
 * in which a message was lost does not count. Exit code 1: a broker could not be measured, or
 * Breakwater lost something or, saturated, cost more than the stock node. Missed goals are printed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { guardProgram } from '../kit/program-guard.ts'
import { findProgram } from '../kit/program.ts'
import {
  BROKER_NAMES,
  makeCertificates,
  startBroker,
  type BenchBroker,
  type BrokerName,
  type Certificates,
} from './broker.ts'
import { parseCommandLine, UsageError, type Invocation } from './command-line.ts'
import { chooseCores, pin, type Cores } from './cores.ts'
import { startGenerator, type Generator } from './generator.ts'
import { measureIdle, type IdleName, type IdleResult } from './idle.ts'
import { Progress } from './progress.ts'
import { formatReport, formatScenario } from './report.ts'
import { describeBench, describeScenario, type BenchResult, type ScenarioResult } from './result.ts'
import { formatResult } from './result-file.ts'
import { takeSample, type Sample } from './sample.ts'
import type { Scenario } from './scenario.ts'

/** What every scenario of a run shares. */
interface Bench {
  readonly invocation: Invocation
  readonly names: readonly BrokerName[]
  readonly certificates: Certificates
  readonly generator: Generator
  readonly cores: Cores | undefined
  readonly progress: Progress
}

const STEADY_DURATION_FACTOR = 5 / 3
// A fixed rate leaves the compiler fewer calls to learn from.
const STEADY_WARMUP_FACTOR = 2

async function run(invocation: Invocation): Promise<BenchResult> {
  const startedAt = new Date()
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-bench-'))
  // What a broker makes for itself lies in it too, and goes with it however this process ends.
  process.env['TMPDIR'] = folder
  try {
    const cores = invocation.pinned ? chooseCores() : undefined
    await using generator = await startGenerator()
    using guard = new DisposableStack()
    guard.defer(guardProgram(generator.pid, folder))
    pin(generator.pid, cores?.generator)
    const names = brokersOf(invocation)
    const bench: Bench = {
      invocation,
      names,
      certificates: await makeCertificates(folder),
      generator,
      cores,
      progress: new Progress(invocation, names.length),
    }
    const scenarios: ScenarioResult[] = []
    for (const scenario of invocation.scenarios) {
      const result = await runScenario(scenario, bench)
      bench.progress.line(formatScenario(result))
      scenarios.push(result)
    }
    const idle = await runIdle(bench)
    const { quick, timing } = invocation
    return describeBench({ startedAt, cores, quick, timing, scenarios, idle })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runScenario(scenario: Scenario, bench: Bench): Promise<ScenarioResult> {
  const { names, generator, certificates, progress } = bench
  const timing = timingOf(scenario, bench.invocation)
  await using stack = new AsyncDisposableStack()
  const brokers = new Map<BrokerName, BenchBroker>()
  for (const name of names) {
    const { profileFolder } = bench.invocation
    const folder = profileFolder === undefined ? undefined : join(profileFolder, scenario.name)
    const options = { secure: scenario.secure, certificates, profileFolder: folder }
    const broker = stack.use(await startBroker[name](options))
    pin(broker.pid, bench.cores?.broker)
    brokers.set(name, broker)
  }
  const samples = new Map<BrokerName, Sample[]>(names.map((name) => [name, []]))
  for (let round = 0; round < timing.rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const broker = brokers.get(name) as BenchBroker
      const options = { broker, generator, timing, ca: certificates.ca }
      const taken = await takeSample(round, scenario, options)
      samples.get(name)?.push(...taken)
      for (const sample of taken) progress.sample(scenario.name, name, sample)
    }
  }
  return describeScenario(scenario, samples)
}

function timingOf(scenario: Scenario, { timing }: Invocation): Invocation['timing'] {
  if (scenario.load.rate === undefined) return timing
  return {
    ...timing,
    warmupMs: timing.warmupMs * STEADY_WARMUP_FACTOR,
    durationMs: timing.durationMs * STEADY_DURATION_FACTOR,
  }
}

async function runIdle(bench: Bench): Promise<IdleResult | undefined> {
  const { invocation, progress, names } = bench
  if (invocation.idle === undefined) return undefined
  const all: readonly IdleName[] = ['bare', ...names]
  return measureIdle({
    ...bench,
    plan: invocation.idle,
    names: all,
    onSample: (name, sample) => progress.idle(name, sample),
  })
}

function brokersOf({ profileFolder }: Invocation): readonly BrokerName[] {
  if (profileFolder !== undefined) return ['breakwater']
  return BROKER_NAMES.filter((name) => name !== 'mosquitto' || mosquittoOnPath())
}

/** Debian keeps it where the PATH of an ordinary user does not look. */
function mosquittoOnPath(): boolean {
  const program = findProgram('mosquitto')
  if (program === undefined) return false
  process.env['PATH'] = [process.env['PATH'] ?? '', dirname(program)].join(delimiter)
  return true
}

/** What must not be, whatever the goals: a broker without a number, or a premise that does not hold. */
function absurdities({ scenarios }: BenchResult): string[] {
  return scenarios.flatMap(({ name, load, brokers, comparisons }) => {
    const ours = brokers.find(({ broker }) => broker === 'breakwater')
    const ratio = comparisons.find(({ against }) => against === 'stock')?.cpuRatio.median
    return [
      ...brokers
        .filter(({ cpuUsPerMessage }) => cpuUsPerMessage === undefined)
        .map(({ broker }) => `${name}: ${broker} has no valid sample`),
      ...(ours?.samples ?? []).flatMap(({ invalid }) =>
        invalid === undefined ? [] : [`${name}: Breakwater: ${invalid}`],
      ),
      ...(load.saturate === true && ratio !== undefined && ratio > 1
        ? [`${name}: Breakwater costs ${ratio.toFixed(2)} times what the stock node costs`]
        : []),
    ]
  })
}

function resultFile({ outFile }: Invocation, result: BenchResult): string {
  if (outFile !== undefined) return outFile
  const folder = fileURLToPath(new URL('./results', import.meta.url))
  mkdirSync(folder, { recursive: true })
  return join(folder, `${result.startedAt.replaceAll(/[:.]/g, '-')}.json`)
}

try {
  const invocation = parseCommandLine(process.argv.slice(2))
  if (typeof invocation === 'string') console.log(invocation)
  else {
    process.once('SIGINT', () => process.exit(130))
    process.once('SIGTERM', () => process.exit(143))
    const result = await run(invocation)
    const file = resultFile(invocation, result)
    writeFileSync(file, formatResult(result))
    console.log(`\n${formatReport(result)}\n\nwritten to ${file}`)
    const wrong = absurdities(result)
    for (const line of wrong) console.error(`bench: ${line}`)
    process.exitCode = wrong.length > 0 ? 1 : 0
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = 1
}
