/** The summary of a run for people: one screen, plain text. */
import { styleText } from 'node:util'
import { formatBytes, formatCount, formatMs, formatRate } from './format.ts'
import type { HistogramSummary } from '../measure/histogram.ts'
import type { FleetResult } from './result.ts'
import type { ThresholdOutcome } from '../command/threshold.ts'
import { ExitCode } from './verdict.ts'

const LABEL_WIDTH = 14
const CELL_WIDTH = 9

const row = (label: string, ...cells: readonly string[]): string =>
  `${label.padEnd(LABEL_WIDTH)}${cells.filter((cell) => cell !== '').join('   ')}`

const columns = (cells: readonly string[]): string =>
  cells.map((cell) => cell.padStart(CELL_WIDTH)).join('')

const PERCENTILE_LABEL_WIDTH = 30

const percentiles = (label: string, summary: HistogramSummary): string[] => {
  if (summary.count === 0) return []
  const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = summary
  const cells = [p50Ms, p90Ms, p99Ms, p999Ms, maxMs].map(formatMs)
  return [`  ${label.padEnd(PERCENTILE_LABEL_WIDTH - 2)}${columns(cells)}`]
}

const title = (result: FleetResult): string[] => {
  const { options, run } = result
  const pattern = options.command === 'pubsub' ? ` · ${options.pattern}` : ''
  const load = options.command === 'connect' ? '' : ` · QoS ${options.qos}`
  const urls = options.endpoints.map((endpoint) => endpoint.url).join(' ')
  const warmup = options.warmupMs > 0 ? ` after ${options.warmupMs / 1000} s of warm-up` : ''
  const measured =
    run.measuredMs > 0
      ? `measured ${(run.measuredMs / 1000).toFixed(1)} s${warmup}`
      : 'not measured'
  return [
    `fleet ${options.command}${pattern} · ${formatCount(options.devices)} devices${load} · ${urls}`,
    `${measured} · seed ${options.seed} · run ${run.id}`,
  ]
}

const connections = (result: FleetResult): string[] => {
  const { planned, ready, failed, lost, reasons, connect, tcp, tls, connack } = result.connections
  const lines = [
    row(
      'connections',
      `${formatCount(ready)} of ${formatCount(planned)} ready`,
      failed > 0 ? `${formatCount(failed)} failed` : '',
      lost > 0 ? `${formatCount(lost)} lost` : '',
    ),
  ]
  for (const [reason, count] of Object.entries(reasons)) {
    lines.push(row('', `${formatCount(count)} × ${reason}`))
  }
  if (connect.count > 0) {
    const stages = [
      `tcp ${formatMs(tcp.p50Ms)}`,
      ...(tls.count > 0 ? [`tls ${formatMs(tls.p50Ms)}`] : []),
      `connack ${formatMs(connack.p50Ms)}`,
    ]
    const { p50Ms, p95Ms, maxMs } = connect
    const whole = `p50 ${formatMs(p50Ms)}  p95 ${formatMs(p95Ms)}  max ${formatMs(maxMs)} ms`
    lines.push(row('', `ready in ${whole}  (p50: ${stages.join(', ')})`))
  }
  return lines
}

const flows = (result: FleetResult): string[] => {
  const { published, acknowledged, delivered, options } = result
  const lines: string[] = []
  if (published.total > 0 || published.targetPerSecond !== undefined) {
    lines.push(
      row(
        'published',
        `${formatCount(published.total)} messages`,
        formatBytes(published.bytes),
        formatRate(published.perSecond),
        published.targetPerSecond === undefined
          ? `saturated, window ${options.window}`
          : `target ${formatRate(published.targetPerSecond)}`,
        published.heldBack > 0 ? `held back ${formatCount(published.heldBack)}` : '',
        published.unsent > 0 ? `NOT SENT ${formatCount(published.unsent)}` : '',
        published.stalls > 0 ? `STALLED ${published.stalls} times` : '',
      ),
    )
    if (options.qos > 0) lines.push(row('acknowledged', formatCount(acknowledged.total)))
  }
  if (options.command === 'sub' || options.command === 'pubsub') {
    const { total, bytes, perSecond } = delivered
    const cells = [`${formatCount(total)} messages`, formatBytes(bytes), formatRate(perSecond)]
    lines.push(row('delivered', ...cells))
  }
  return lines
}

const latencies = (result: FleetResult): string[] => {
  const { endToEnd, transit, acknowledgement, acknowledgementTransit } = result.latency
  // A saturated run intends to send when it sends: the two would be the same.
  const intended = !result.options.saturate
  const lines = [
    ...(intended ? percentiles('delivery, from intended time', endToEnd) : []),
    ...percentiles('delivery, from sending', transit),
    ...(intended ? percentiles('ack, from intended time', acknowledgement) : []),
    ...percentiles('ack, from sending', acknowledgementTransit),
  ]
  if (lines.length === 0) return []
  const head = columns(['p50', 'p90', 'p99', 'p99.9', 'max'])
  return [`${'latency, ms'.padEnd(PERCENTILE_LABEL_WIDTH)}${head}`, ...lines]
}

const integrity = (result: FleetResult): string[] => {
  if (result.options.command === 'connect') return []
  const { integrity, options } = result
  const { qos0, qos1, qos2 } = integrity.duplicates
  const received = options.command !== 'pub'
  const lines = [
    row(
      'integrity',
      received ? `lost ${formatCount(integrity.lost)}` : '',
      received ? `duplicates ${formatCount(qos0 + qos1 + qos2)}` : '',
      received ? `out of order ${formatCount(integrity.outOfOrder)}` : '',
      received ? `misrouted ${formatCount(integrity.misrouted)}` : '',
      received ? `corrupt ${formatCount(integrity.corrupt)}` : '',
      options.qos > 0 ? `unacknowledged ${formatCount(integrity.unacknowledged)}` : '',
      integrity.foreign > 0 ? `foreign ${formatCount(integrity.foreign)}` : '',
      integrity.retained > 0 ? `retained ${formatCount(integrity.retained)}` : '',
    ),
  ]
  for (const { publisher, subscriber, lost } of integrity.worst.slice(0, 3)) {
    lines.push(row('', `lost ${formatCount(lost)}: ${publisher ?? '?'} → ${subscriber}`))
  }
  return lines.filter((line) => line.trim() !== 'integrity')
}

const generator = (result: FleetResult): string[] => {
  if (result.run.measuredMs === 0) return []
  const { lag, lagBoundMs, cpuShare, cpuUsPerMessage, residentBytes, stealShare } = result.generator
  return [
    row(
      'generator',
      lag.count > 0 ? `lag p99 ${formatMs(lag.p99Ms)} ms (bound ${lagBoundMs} ms)` : '',
      `cpu ${(cpuShare * 100).toFixed(0)} %`,
      cpuUsPerMessage === undefined ? '' : `${cpuUsPerMessage.toFixed(2)} µs per message`,
      `memory ${formatBytes(residentBytes)}`,
      stealShare !== undefined && stealShare > 0.01
        ? `steal ${(stealShare * 100).toFixed(0)} %`
        : '',
    ),
    ...result.watched.map(({ pid, cpuMs, cpuUsPerMessage, residentBytesPerConnection, ...rest }) =>
      row(
        `process ${pid}`,
        `cpu ${formatCount(cpuMs)} ms`,
        cpuUsPerMessage === undefined ? '' : `${cpuUsPerMessage.toFixed(2)} µs per message`,
        `memory ${formatBytes(rest.residentBytes)}`,
        // Under load, memory is buffers and not connections.
        result.published.total === 0
          ? `${formatBytes(Math.round(residentBytesPerConnection))} per connection`
          : '',
      ),
    ),
  ]
}

const threshold = ({ expression, met, actual, unit }: ThresholdOutcome): string => {
  const value = actual === undefined ? 'nothing measured' : `${Number(actual.toFixed(3))} ${unit}`
  return `${met ? '✓' : '✗'} ${expression}   ${value.trim()}`
}

const VERDICTS: Readonly<Record<ExitCode, string>> = {
  [ExitCode.ok]: 'PASS',
  [ExitCode.input]: 'FAIL',
  [ExitCode.connect]: 'FAIL',
  [ExitCode.threshold]: 'FAIL',
  [ExitCode.overloaded]: 'NOT VALID',
  [ExitCode.integrity]: 'FAIL',
  [ExitCode.interrupted]: 'INTERRUPTED',
}

/** The summary, ending with the verdict; coloured if `stream` is a terminal. */
export const formatReport = (result: FleetResult, stream: NodeJS.WritableStream): string => {
  const { exitCode, reasons } = result.verdict
  const colour = exitCode === ExitCode.ok ? 'green' : 'red'
  const word = styleText(colour, VERDICTS[exitCode], { stream })
  const why = reasons.filter((reason) => reason !== 'interrupted').join('; ')
  return [
    ...title(result),
    '',
    ...connections(result),
    ...flows(result),
    ...latencies(result),
    ...integrity(result),
    ...generator(result),
    ...result.thresholds.map((outcome, index) =>
      row(index === 0 ? 'thresholds' : '', threshold(outcome)),
    ),
    '',
    why === '' ? word : `${word}: ${why}`,
    '',
  ].join('\n')
}
