/**
 * The hot side of a metric: one small object per series, found once and then changed in place.
 *
 * A prom-client counter hashes its labels on every increment (200–500 ns, "cached" children too).
 * Here a cell is resolved when the node starts and `cell.add(1)` is all that remains per event: one class each,
 * so that the compiler inlines it (1.7 ns, as much as adding to a field).
 * A family is what prom-client's registry needs of a metric: a name, a type and `get()`.
 */
import {
  LATENCY_BUCKETS,
  METRIC_PREFIX,
  type MetricDefinition,
  type MetricType,
} from './metric-definition.ts'

/** One series of a counter. */
export class Counter {
  #value = 0

  get value(): number {
    return this.#value
  }

  add(count: number): void {
    this.#value += count
  }
}

/** One series of a gauge. */
export class Gauge {
  #value: number

  /** @param value NaN: there is no such series until it is set */
  constructor(value = 0) {
    this.#value = value
  }

  get value(): number {
    return this.#value
  }

  set(value: number): void {
    this.#value = value
  }

  add(change: number): void {
    this.#value += change
  }
}

/** One series of a histogram. */
export interface Histogram {
  observe(value: number): void
}

type SeriesLabels = Readonly<Record<string, string>>

/** The values that each label may take, in the order in which the labels are declared. */
export type LabelValues = Readonly<Record<string, readonly string[]>>

/** One line of the page. */
interface Sample {
  readonly value: number
  readonly labels: SeriesLabels
  readonly metricName?: string
}

interface FamilySnapshot {
  name: string
  help: string
  type: MetricType
  aggregator: 'sum'
  values: readonly Sample[]
}

/** All series of one metric, every one of them made before the first event. */
abstract class Family<Series> {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly aggregator = 'sum'
  readonly #labelValues: LabelValues
  readonly #series = new Map<string, { labels: SeriesLabels; series: Series }>()

  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    this.name = METRIC_PREFIX + name
    this.help = definition.help
    this.type = definition.type
    this.#labelValues = labelValues
  }

  protected fill(make: (labels: SeriesLabels) => Series): void {
    for (const labels of combinations(this.#labelValues)) {
      this.#series.set(this.#key(labels), { labels, series: make(labels) })
    }
  }

  protected samples(of: (series: Series, labels: SeriesLabels) => readonly Sample[]): Sample[] {
    return [...this.#series.values()].flatMap(({ series, labels }) => of(series, labels))
  }

  /** Not for the hot path: call it once, keep the cell. */
  cell(labels: SeriesLabels = {}): Series {
    const found = this.#series.get(this.#key(labels))
    if (found === undefined) throw new Error(this.#unknown(labels))
    return found.series
  }

  abstract get(): FamilySnapshot

  protected snapshot(values: readonly Sample[]): FamilySnapshot {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values }
  }

  #key(labels: SeriesLabels): string {
    return Object.keys(this.#labelValues)
      .map((label) => labels[label])
      .join('\u0000')
  }

  #unknown(labels: SeriesLabels): string {
    const wrong = Object.entries(this.#labelValues)
      .filter(([label, values]) => !values.includes(labels[label] ?? ''))
      .map(([label, values]) => `${label} "${labels[label]}" is not one of ${values.join(', ')}`)
    return `${this.name} has no such series: ${wrong.join('; ')}`
  }
}

export class CounterFamily extends Family<Counter> {
  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    super(name, definition, labelValues)
    this.fill(() => new Counter())
  }

  get(): FamilySnapshot {
    return this.snapshot(this.samples(({ value }, labels) => [{ labels, value }]))
  }
}

export class GaugeFamily extends Family<Gauge> {
  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    super(name, definition, labelValues)
    const initial = definition.initial === 'absent' ? Number.NaN : 0
    this.fill(() => new Gauge(initial))
  }

  get(): FamilySnapshot {
    return this.snapshot(
      this.samples(({ value }, labels) => (Number.isNaN(value) ? [] : [{ labels, value }])),
    )
  }
}

export class HistogramFamily extends Family<Buckets> {
  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    super(name, definition, labelValues)
    this.fill(() => new Buckets(LATENCY_BUCKETS))
  }

  get(): FamilySnapshot {
    return this.snapshot(this.samples((buckets, labels) => buckets.samples(this.name, labels)))
  }
}

/** Counts per bucket while observing; they are added up only when somebody reads the page. */
class Buckets implements Histogram {
  readonly #bounds: Float64Array
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds)
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    // A NaN or a clock that stepped back must not spoil the sum for the life of the process.
    const seen = value > 0 ? value : 0
    const bounds = this.#bounds
    let index = 0
    while (index < bounds.length && seen > bounds[index]!) index += 1
    this.#counts[index]! += 1
    this.#sum += seen
  }

  samples(name: string, labels: SeriesLabels): readonly Sample[] {
    let count = 0
    const samples: Sample[] = []
    for (const [index, inBucket] of this.#counts.entries()) {
      count += inBucket
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf'
      samples.push({ labels: { le, ...labels }, value: count, metricName: `${name}_bucket` })
    }
    samples.push({ labels, value: this.#sum, metricName: `${name}_sum` })
    samples.push({ labels, value: count, metricName: `${name}_count` })
    return samples
  }
}

function combinations(labelValues: LabelValues): SeriesLabels[] {
  let rows: SeriesLabels[] = [{}]
  for (const [label, values] of Object.entries(labelValues)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [label]: value })))
  }
  return rows
}
