/**
 * The hot side of a metric: one plain object per series, found once and then incremented in place.
 *
 * A prom-client counter hashes its labels on every increment (200–500 ns, "cached" children too).
 * Here a cell is resolved when the node starts and `cell.value += 1` is all that remains per event.
 * A family is what prom-client's registry needs of a metric: a name, a type and `get()`.
 */
import {
  LATENCY_BUCKETS,
  METRIC_PREFIX,
  type MetricDefinition,
  type MetricType,
} from './metric-definition.ts'

/** One series of a counter or a gauge. Add to it, or set it; nothing else happens. */
export interface Cell {
  value: number
}

/** One labelled histogram. */
export interface HistogramCell {
  observe(value: number): void
}

type SeriesLabels = Readonly<Record<string, string>>

/** The values that each label may take, in the order in which the labels are declared. */
export type LabelValues = Readonly<Record<string, readonly string[]>>

/** One line of the page. */
interface Sample extends Cell {
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
  readonly #series = new Map<string, Series>()

  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    this.name = METRIC_PREFIX + name
    this.help = definition.help
    this.type = definition.type
    this.#labelValues = labelValues
  }

  protected fill(make: (labels: SeriesLabels) => Series): void {
    for (const labels of combinations(this.#labelValues)) {
      this.#series.set(this.#key(labels), make(labels))
    }
  }

  protected all(): Series[] {
    return [...this.#series.values()]
  }

  /** Not for the hot path: call it once, keep the cell. */
  cell(labels: SeriesLabels = {}): Series {
    const series = this.#series.get(this.#key(labels))
    if (series === undefined) throw new Error(this.#unknown(labels))
    return series
  }

  abstract get(): FamilySnapshot

  abstract reset(): void

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

export class CellFamily extends Family<Sample> {
  readonly #initial: number

  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    super(name, definition, labelValues)
    this.#initial = definition.initial === 'absent' ? Number.NaN : 0
    this.fill((labels) => ({ labels, value: this.#initial }))
  }

  get(): FamilySnapshot {
    return this.snapshot(this.all().filter((sample) => !Number.isNaN(sample.value)))
  }

  reset(): void {
    for (const sample of this.all()) sample.value = this.#initial
  }
}

export class HistogramFamily extends Family<Buckets> {
  constructor(name: string, definition: MetricDefinition, labelValues: LabelValues) {
    super(name, definition, labelValues)
    this.fill((labels) => new Buckets(this.name, labels, LATENCY_BUCKETS))
  }

  get(): FamilySnapshot {
    return this.snapshot(this.all().flatMap((buckets) => buckets.samples()))
  }

  reset(): void {
    for (const buckets of this.all()) buckets.reset()
  }
}

/** Counts per bucket while observing; they are added up only when somebody reads the page. */
class Buckets implements HistogramCell {
  readonly #bounds: Float64Array
  readonly #counts: Float64Array
  readonly #samples: readonly Sample[]
  readonly #sumSample: Sample
  readonly #countSample: Sample
  #sum = 0

  constructor(name: string, labels: SeriesLabels, bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds)
    this.#counts = new Float64Array(bounds.length + 1)
    const metricName = `${name}_bucket`
    this.#samples = [...bounds.map(String), '+Inf'].map((le) => {
      return { labels: { le, ...labels }, value: 0, metricName }
    })
    this.#sumSample = { labels, value: 0, metricName: `${name}_sum` }
    this.#countSample = { labels, value: 0, metricName: `${name}_count` }
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

  samples(): Sample[] {
    let count = 0
    for (const [index, sample] of this.#samples.entries()) {
      count += this.#counts[index]!
      sample.value = count
    }
    this.#sumSample.value = this.#sum
    this.#countSample.value = count
    return [...this.#samples, this.#sumSample, this.#countSample]
  }

  reset(): void {
    this.#counts.fill(0)
    this.#sum = 0
  }
}

function combinations(labelValues: LabelValues): SeriesLabels[] {
  let rows: SeriesLabels[] = [{}]
  for (const [label, values] of Object.entries(labelValues)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [label]: value })))
  }
  return rows
}
