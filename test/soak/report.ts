/** What a soak has shown, as text: one line per promise, one per kind of fault, and the stories of what broke. */
import type { GuaranteeId, Violation } from './check/violation.ts'
import { describeStep } from './fault-plan.ts'
import { NODE_NAMES } from './plan.ts'
import { recoveriesOf, type Recovery } from './recovery.ts'
import type { RoundResult } from './round.ts'
import { storyOf } from './story.ts'

const GUARANTEES: Readonly<Record<GuaranteeId, string>> = {
  G1: 'acknowledged means stored',
  G2: 'live subscribers miss nothing',
  G3: 'one owner per client id',
  G4: 'a stalled subscriber costs nobody else',
  G5: 'order',
  G6: 'resume',
  G7: 'an ended session leaves no key',
  G8: 'wills',
  G9: 'recovery without a restart',
  G11: 'the books balance',
  G12: 'QoS 2 once',
  G13: 'shared subscriptions',
}
const STORIES_MAX = 3

/** The command that does this round again. */
export function replayCommand({ plan }: Pick<RoundResult, 'plan'>): string {
  return `npm run soak -- --seed ${plan.seed} --rounds 1 --round-seconds ${plan.faultsMs / 1_000}`
}

export function scheduleOf({ plan }: Pick<RoundResult, 'plan'>): string[] {
  const devices = plan.devices.map(({ id, clean, filters, publishes, tls }) => {
    const reads = filters.map(([filter, qos]) => `${filter} (QoS ${qos})`).join(' ')
    const writes = publishes.length > 0 ? ` publishes QoS ${publishes.join(' ')}` : ''
    const session = clean ? 'clean' : 'persistent'
    return `  ${id.padEnd(8)} ${session}${tls ? ' TLS' : ''} ${reads}${writes}`
  })
  return [...devices, ...plan.faults.map((step) => describeStep(step, NODE_NAMES))]
}

/** The first violation of each promise, with its story. */
export function storiesOf(round: RoundResult): string[] {
  const firsts = new Map<GuaranteeId, Violation>()
  for (const violation of round.violations)
    if (!firsts.has(violation.guarantee)) firsts.set(violation.guarantee, violation)
  return [...firsts.values()]
    .slice(0, STORIES_MAX)
    .flatMap((violation) => [
      `${violation.guarantee} (${GUARANTEES[violation.guarantee]}): ${violation.text}`,
      ...storyOf(round.lines, violation).map((line) => `  ${line}`),
    ])
}

/** What is kept of a round when its history is let go. */
export interface Summary {
  readonly seconds: number
  readonly violations: Readonly<Record<string, number>>
  readonly counts: Readonly<Record<string, number>>
  readonly faults: readonly string[]
  readonly recoveries: readonly Recovery[]
  readonly replay: string
}

export function summaryOf(round: RoundResult): Summary {
  const counts: Record<string, number> = {}
  const violations: Record<string, number> = {}
  const faults: string[] = []
  for (const line of round.lines) {
    counts[line.kind] = (counts[line.kind] ?? 0) + 1
    if (line.kind === 'fault' && line.phase === 'begin') faults.push(line.fault)
  }
  for (const { guarantee } of round.violations)
    violations[guarantee] = (violations[guarantee] ?? 0) + 1
  const recoveries = recoveriesOf(round.lines)
  const { seconds } = round
  return { seconds, violations, counts, faults, recoveries, replay: replayCommand(round) }
}

export function reportOf(summaries: readonly Summary[]): string[] {
  const total = (pick: (summary: Summary) => number): number =>
    summaries.reduce((sum, summary) => sum + pick(summary), 0)
  const counted = (kind: string): string =>
    total(({ counts }) => counts[kind] ?? 0).toLocaleString('en')
  const lines = [
    `${summaries.length} rounds, ${Math.round(total(({ seconds }) => seconds))} s: ` +
      `${counted('publish')} publishes, ${counted('delivered')} deliveries, ` +
      `${counted('connack')} CONNACKs`,
  ]
  for (const [id, title] of Object.entries(GUARANTEES)) {
    const broken = total(({ violations }) => violations[id] ?? 0)
    const verdict = broken === 0 ? 'kept' : `BROKEN ${broken}`
    lines.push(`  ${id.padEnd(4)} ${title.padEnd(40)} ${verdict}`)
  }
  const tookMs = Map.groupBy(
    summaries.flatMap(({ recoveries }) => recoveries),
    ({ fault }) => fault,
  )
  const faults = Map.groupBy(
    summaries.flatMap(({ faults: own }) => own),
    (fault) => fault,
  )
  lines.push(
    '  faults: how often, and until all publishers were acknowledged again (median, longest)',
  )
  for (const [fault, times] of [...faults].toSorted(([one], [other]) => one.localeCompare(other)))
    lines.push(
      `  ${fault.padEnd(20)} ${String(times.length).padStart(5)}  ${spread(tookMs.get(fault))}`,
    )
  for (const { violations, replay } of summaries)
    if (Object.keys(violations).length > 0)
      lines.push(`  again (${Object.keys(violations).join(' ')}): ${replay}`)
  return lines
}

function spread(recoveries: readonly Recovery[] | undefined): string {
  if (recoveries === undefined) return ''
  const sorted = recoveries.map(({ tookMs }) => tookMs).toSorted((one, other) => one - other)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  return `${Math.round(median)} ms, ${Math.round(sorted.at(-1) ?? 0)} ms`
}
