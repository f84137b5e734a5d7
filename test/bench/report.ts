/** The tables of a run, as Markdown: they read well in a terminal, and docs/BENCHMARKS.md takes them as they are. */
import type { Outcome, Rival } from './goal.ts'
import { IDLE_NAME, type IdleResult } from './idle.ts'
import type { BenchResult, BrokerResult, ScenarioResult } from './result.ts'
import type { Spread } from './statistics.ts'

const MIB = 1_048_576
const NONE = '–'
const FOREIGN_CPU_NOTED = 0.5
const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function formatReport({ scenarios, idle, quick }: BenchResult): string {
  return [
    ...(quick ? ['A quick run: it says whether everything works; its numbers are rough.'] : []),
    ...(scenarios.length > 0 ? [costTable(scenarios), loadTable(scenarios)] : []),
    ...(idle === undefined ? [] : [idleTable(idle)]),
    goalTable(scenarios, idle),
    ...notes(scenarios),
  ].join('\n\n')
}

/** One line for one broker's sample or one scenario, while a run is under way. */
export function formatScenario(scenario: ScenarioResult): string {
  const ratios = scenario.comparisons.map(
    ({ against, cpuRatio }) => `${formatSpread(cpuRatio)} × ${against}`,
  )
  return `${scenario.name}: ${ratios.join(', ')}`
}

function costTable(scenarios: readonly ScenarioResult[]): string {
  return table(
    'CPU time of the broker per delivered message, µs: median (least–most of the rounds)',
    ['scenario', 'Breakwater', 'Mosquitto', 'stock', '× Mosquitto', '× stock'],
    scenarios.map((scenario) => [
      `\`${scenario.name}\``,
      formatSpread(broker(scenario, 'breakwater')?.cpuUsPerMessage),
      formatSpread(broker(scenario, 'mosquitto')?.cpuUsPerMessage),
      formatSpread(broker(scenario, 'stock')?.cpuUsPerMessage),
      formatRatio(scenario, 'mosquitto'),
      formatRatio(scenario, 'stock'),
    ]),
  )
}

function loadTable(scenarios: readonly ScenarioResult[]): string {
  const each = (scenario: ScenarioResult, cell: (result: BrokerResult) => string): string =>
    (['breakwater', 'mosquitto', 'stock'] as const)
      .map((name) => broker(scenario, name))
      .map((result) => (result === undefined ? NONE : cell(result)))
      .join(' / ')
  return table(
    'Medians of Breakwater / Mosquitto / stock',
    ['scenario', 'messages/s', 'p50, ms', 'p99, ms', 'resident, MiB'],
    scenarios.map((scenario) => [
      `\`${scenario.name}\``,
      each(scenario, (result) => optional(result.messagesPerSecond, (n) => COUNT.format(n))),
      each(scenario, (result) => optional(result.p50Ms, significant)),
      each(scenario, (result) => optional(result.p99Ms, significant)),
      each(scenario, (result) => optional(result.residentBytes, (n) => (n / MIB).toFixed(0))),
    ]),
  )
}

function idleTable({ plan, brokers }: IdleResult): string {
  return table(
    `Idle, subscribed TLS connections: KiB each, of ${COUNT.format(plan.second)} beside ${COUNT.format(plan.first)} others`,
    ['', 'resident', 'of it objects of V8'],
    brokers.map(({ broker, residentKib, heapKib }) => [
      broker,
      formatSpread(residentKib),
      formatSpread(heapKib),
    ]),
  )
}

function goalTable(scenarios: readonly ScenarioResult[], idle: IdleResult | undefined): string {
  const all: readonly (readonly [string, Outcome])[] = [
    ...scenarios.flatMap(({ name, outcomes }) =>
      outcomes.map((outcome) => [name, outcome] as const),
    ),
    ...(idle?.outcomes ?? []).map((outcome) => [IDLE_NAME, outcome] as const),
  ]
  return table(
    'Goals',
    ['scenario', 'goal', 'measured', ''],
    all.map(([name, { goal, measured, reached }]) => [
      `\`${name}\``,
      goal,
      measured === undefined ? NONE : significant(measured),
      reached === undefined ? 'not measured' : reached ? 'reached' : '**missed**',
    ]),
  )
}

function notes(scenarios: readonly ScenarioResult[]): string[] {
  const lines = scenarios.flatMap(({ name, brokers }) =>
    brokers.flatMap(({ broker, notes }) =>
      notes.map((note) => `* \`${name}\`, ${broker}: ${note}`),
    ),
  )
  const samples = scenarios.flatMap(({ brokers }) => brokers.flatMap((broker) => broker.samples))
  const disturbed = samples.filter(({ foreignCpu }) => foreignCpu > FOREIGN_CPU_NOTED)
  if (disturbed.length > 0) {
    lines.push(
      `* other programs used more than half a core during ${disturbed.length} of ${samples.length} samples`,
    )
  }
  return lines.length === 0 ? [] : [lines.join('\n')]
}

function broker(scenario: ScenarioResult, name: BrokerResult['broker']): BrokerResult | undefined {
  return scenario.brokers.find(({ broker }) => broker === name)
}

function formatRatio(scenario: ScenarioResult, rival: Rival): string {
  return formatSpread(scenario.comparisons.find(({ against }) => against === rival)?.cpuRatio)
}

function formatSpread(spread: Spread | undefined): string {
  if (spread === undefined) return NONE
  const { median, min, max } = spread
  if (min === max) return significant(median)
  return `${significant(median)} (${significant(min)}–${significant(max)})`
}

function optional(spread: Spread | undefined, format: (value: number) => string): string {
  return spread === undefined ? NONE : format(spread.median)
}

/** Two or three digits that mean something: `0.061`, `0.94`, `9.4`, `120`. */
export function significant(value: number): string {
  const size = Math.abs(value)
  if (size < 0.1) return value.toFixed(3)
  if (size < 1) return value.toFixed(2)
  return value.toFixed(size < 20 ? 1 : 0)
}

function table(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = `|---|${'---:|'.repeat(head.length - 1)}`
  return [`**${title}**`, '', line(head), rule, ...rows.map(line)].join('\n')
}
