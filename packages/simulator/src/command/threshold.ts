/**
 * What a run must keep to: `metric operator value`, such as `e2e.p99<50ms`, `loss<=0.1%`, `dup==0`.
 * A comma separates several. A threshold on `loss` or `dup` replaces the rule that neither may be.
 */
import { InputError } from './input-error.ts'
import { parseDurationMs } from './quantity.ts'
import type { HistogramSummary } from '../measure/histogram.ts'
import type { FleetMode } from './fleet-mode.ts'

const OPERATORS = {
  '<=': (actual: number, bound: number): boolean => actual <= bound,
  '>=': (actual: number, bound: number): boolean => actual >= bound,
  '==': (actual: number, bound: number): boolean => actual === bound,
  '<': (actual: number, bound: number): boolean => actual < bound,
  '>': (actual: number, bound: number): boolean => actual > bound,
} as const

const STATISTICS = {
  p50: 'p50Ms',
  p90: 'p90Ms',
  p95: 'p95Ms',
  p99: 'p99Ms',
  p999: 'p999Ms',
  mean: 'meanMs',
  max: 'maxMs',
} as const

/** Distributions and counts that a threshold can name, and the commands that measure them. */
const LATENCIES: Readonly<Record<string, readonly FleetMode[]>> = {
  e2e: ['sub', 'pubsub'],
  transit: ['sub', 'pubsub'],
  ack: ['pub', 'pubsub'],
  lag: ['pub', 'pubsub'],
  connect: ['connect', 'pub', 'sub', 'pubsub'],
}
const COUNTS: Readonly<Record<string, readonly FleetMode[]>> = {
  loss: ['sub', 'pubsub'],
  dup: ['sub', 'pubsub'],
  rate: ['pub', 'sub', 'pubsub'],
}

type LatencyName = 'e2e' | 'transit' | 'ack' | 'lag' | 'connect'
type CountName = 'loss' | 'dup' | 'rate'

export interface Threshold {
  readonly expression: string
  readonly metric: LatencyName | CountName
  readonly statistic: keyof typeof STATISTICS | undefined
  readonly operator: keyof typeof OPERATORS
  /** Milliseconds, a count, messages per second, or (with `isRatio`) a share of all messages. */
  readonly bound: number
  readonly isRatio: boolean
}

/** What was measured, in the terms of thresholds. */
export interface Measured {
  readonly latencies: Readonly<Record<LatencyName, HistogramSummary>>
  readonly counts: Readonly<Record<CountName, number>>
  /** Messages that ought to have been delivered; the base of `loss` and `dup` in percent. */
  readonly expected: number
}

export interface ThresholdOutcome {
  readonly expression: string
  readonly met: boolean
  /** Undefined: there was nothing to measure, which counts as missed. */
  readonly actual: number | undefined
  readonly unit: 'ms' | '%' | '/s' | ''
}

const EXPRESSION = /^([a-z0-9]+)(?:\.([a-z0-9]+))?\s*(<=|>=|==|<|>)\s*(.+)$/

const refuse = (expression: string, why: string): never => {
  throw new InputError(`--slo: "${expression}": ${why}`)
}

const parseBound = (expression: string, metric: string, text: string): [number, boolean] => {
  if (metric in LATENCIES) return [parseDurationMs(`--slo: "${expression}"`, text), false]
  const match = /^(\d+(?:\.\d+)?)\s*(%|\/s)?$/.exec(text)
  const unit = match?.[2]
  const fits = unit === undefined || (unit === '%') === (metric !== 'rate')
  if (match === null || !fits) return refuse(expression, `"${text}" is not a value of ${metric}`)
  return unit === '%' ? [Number(match[1]) / 100, true] : [Number(match[1]), false]
}

const parseThreshold = (expression: string, command: FleetMode, qos: number): Threshold => {
  const [, metric = '', statistic, operator = '', value = ''] = EXPRESSION.exec(expression) ?? []
  if (metric === '') return refuse(expression, 'write it as e2e.p99<50ms or loss==0')
  const measuredBy = LATENCIES[metric] ?? COUNTS[metric]
  if (measuredBy === undefined) {
    const known = [...Object.keys(LATENCIES), ...Object.keys(COUNTS)].join(', ')
    return refuse(expression, `"${metric}" is not measured (${known} are)`)
  }
  if (!measuredBy.includes(command) || (metric === 'ack' && qos === 0)) {
    return refuse(expression, `${command} with QoS ${qos} does not measure "${metric}"`)
  }
  const needsStatistic = metric in LATENCIES
  if (needsStatistic !== (statistic !== undefined && statistic in STATISTICS)) {
    const ways = Object.keys(STATISTICS).map((name) => `${metric}.${name}`)
    return refuse(expression, needsStatistic ? `say which: ${ways.join(', ')}` : 'has no statistic')
  }
  const [bound, isRatio] = parseBound(expression, metric, value)
  return {
    expression,
    metric: metric as Threshold['metric'],
    statistic: statistic as Threshold['statistic'],
    operator: operator as Threshold['operator'],
    bound,
    isRatio,
  }
}

/** Reads all expressions of a run; throws InputError on one that the run could not answer. */
export const parseThresholds = (
  expressions: readonly string[],
  command: FleetMode,
  qos: number,
): readonly Threshold[] =>
  expressions
    .flatMap((expression) => expression.split(','))
    .map((expression) => parseThreshold(expression.trim(), command, qos))

/** Compares one threshold with what was measured. */
export const judgeThreshold = (threshold: Threshold, measured: Measured): ThresholdOutcome => {
  const { expression, metric, statistic, operator, bound, isRatio } = threshold
  const holds = OPERATORS[operator]
  if (statistic !== undefined) {
    const latency = measured.latencies[metric as LatencyName]
    const actual = latency.count === 0 ? undefined : latency[STATISTICS[statistic]]
    return { expression, met: actual !== undefined && holds(actual, bound), actual, unit: 'ms' }
  }
  const count = measured.counts[metric as CountName]
  if (!isRatio) {
    const unit = metric === 'rate' ? '/s' : ''
    return { expression, met: holds(count, bound), actual: count, unit }
  }
  const ratio = measured.expected === 0 ? undefined : count / measured.expected
  const actual = ratio === undefined ? undefined : ratio * 100
  return { expression, met: ratio !== undefined && holds(ratio, bound), actual, unit: '%' }
}
