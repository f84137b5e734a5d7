/** What is said of a metric where it is declared. */
export const METRIC_PREFIX = 'breakwater_'

export type MetricType = 'counter' | 'gauge' | 'histogram'

/** A set of label values that is known only when the node starts. */
export type SuppliedSet =
  | 'listeners'
  | 'closeReasons'
  | 'dropReasons'
  | 'logKinds'
  | 'redisFaults'
  | 'redisSettings'
  | 'redisKeys'
  | 'version'
  | 'commit'
  | 'node'
  | 'openssl'

export interface MetricDefinition {
  readonly type: MetricType
  /** What one unit of the value is: base units only (seconds, bytes, a ratio from 0 to 1). */
  readonly unit: string
  readonly help: string
  readonly labels: Readonly<Record<string, SuppliedSet | readonly string[]>>
  /** `absent`: no series until a value is set, because 0 would be read as a fault. */
  readonly initial?: 'absent'
}

/** Upper bounds of every histogram's buckets; all of them measure seconds. */
export const LATENCY_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]
