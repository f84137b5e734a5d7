/**
 * Log-linear histogram of durations in whole microseconds.
 *
 * Values below 256 have a bucket each; above, every power of two is cut into 128 equal buckets, so
 * a reported percentile is at most 1/128 (0.8 %) above the true one and never below it. Recording
 * is two integer operations and one add on a typed array; the array never grows, so histograms of
 * several processes merge bucket by bucket.
 */

const LINEAR_VALUES = 256
const BUCKETS_PER_OCTAVE = 128
const OCTAVE_BITS = 7
const VALUE_MAX = 0x7fff_ffff // 35 minutes; anything longer is counted there
const OCTAVES = 31 - OCTAVE_BITS
const BUCKET_COUNT = OCTAVES * BUCKETS_PER_OCTAVE + BUCKETS_PER_OCTAVE

/** What a report shows of a histogram, in milliseconds. */
export interface HistogramSummary {
  readonly count: number
  readonly minMs: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** A summary with its buckets, from which the histogram can be rebuilt and merged. */
export interface HistogramRecord extends HistogramSummary {
  /** `[bucket index, count]` of every bucket that holds something. */
  readonly buckets: readonly (readonly [number, number])[]
}

const bucketOf = (value: number): number => {
  if (value < LINEAR_VALUES) return value
  const octave = 31 - Math.clz32(value) - OCTAVE_BITS
  return octave * BUCKETS_PER_OCTAVE + (value >> octave)
}

/** The largest value that falls into a bucket. */
const bucketTop = (bucket: number): number => {
  if (bucket < LINEAR_VALUES) return bucket
  const octave = Math.floor(bucket / BUCKETS_PER_OCTAVE) - 1
  const step = bucket - octave * BUCKETS_PER_OCTAVE
  return (step + 1) * 2 ** octave - 1
}

const milliseconds = (valueUs: number): number => Math.round(valueUs) / 1000

export class Histogram {
  readonly #counts: Float64Array = new Float64Array(BUCKET_COUNT)
  #count = 0
  #sumUs = 0
  #minUs: number = VALUE_MAX
  #maxUs = 0

  /** Values recorded. */
  get count(): number {
    return this.#count
  }

  /** Adds one duration; what is below zero counts as zero. */
  record(valueUs: number): void {
    const value = valueUs <= 0 ? 0 : valueUs >= VALUE_MAX ? VALUE_MAX : (valueUs + 0.5) | 0
    this.#counts[bucketOf(value)]! += 1
    this.#count += 1
    this.#sumUs += value
    if (value > this.#maxUs) this.#maxUs = value
    if (value < this.#minUs) this.#minUs = value
  }

  /** The value that `quantile` (0 … 1) of all recorded values do not exceed, in microseconds. */
  quantileUs(quantile: number): number {
    if (this.#count === 0) return 0
    const rank = Math.max(1, Math.ceil(quantile * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank) return Math.min(bucketTop(bucket), this.#maxUs)
    }
    return this.#maxUs
  }

  /** Adds everything another histogram has recorded. */
  merge(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      this.#counts[bucket]! += other.#counts[bucket]!
    }
    this.#count += other.#count
    this.#sumUs += other.#sumUs
    this.#minUs = Math.min(this.#minUs, other.#minUs)
    this.#maxUs = Math.max(this.#maxUs, other.#maxUs)
  }

  /** What was recorded since `earlier`, a copy of this histogram; its extremes are bucket edges. */
  since(earlier: Histogram): Histogram {
    const interval = new Histogram()
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      const count = this.#counts[bucket]! - earlier.#counts[bucket]!
      if (count === 0) continue
      interval.#counts[bucket] = count
      interval.#maxUs = Math.min(bucketTop(bucket), this.#maxUs)
      interval.#minUs = Math.min(interval.#minUs, interval.#maxUs)
    }
    interval.#count = this.#count - earlier.#count
    interval.#sumUs = this.#sumUs - earlier.#sumUs
    return interval
  }

  /** An independent histogram with the same content. */
  copy(): Histogram {
    const copy = new Histogram()
    copy.merge(this)
    return copy
  }

  /** The usual percentiles in milliseconds; all zero when nothing was recorded. */
  summary(): HistogramSummary {
    return {
      count: this.#count,
      minMs: this.#count === 0 ? 0 : milliseconds(this.#minUs),
      meanMs: this.#count === 0 ? 0 : milliseconds(this.#sumUs / this.#count),
      p50Ms: milliseconds(this.quantileUs(0.5)),
      p90Ms: milliseconds(this.quantileUs(0.9)),
      p95Ms: milliseconds(this.quantileUs(0.95)),
      p99Ms: milliseconds(this.quantileUs(0.99)),
      p999Ms: milliseconds(this.quantileUs(0.999)),
      maxMs: milliseconds(this.#maxUs),
    }
  }

  /** The summary and the buckets, for a report file. */
  toRecord(): HistogramRecord {
    const buckets: (readonly [number, number])[] = []
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      const count = this.#counts[bucket]!
      if (count > 0) buckets.push([bucket, count])
    }
    return { ...this.summary(), buckets }
  }

  /** The histogram that `toRecord` described, so that several runs can be merged. */
  static fromRecord(record: HistogramRecord): Histogram {
    const histogram = new Histogram()
    for (const [bucket, count] of record.buckets) histogram.#counts[bucket] = count
    histogram.#count = record.count
    histogram.#sumUs = record.meanMs * 1000 * record.count
    histogram.#minUs = record.count === 0 ? VALUE_MAX : record.minMs * 1000
    histogram.#maxUs = record.maxMs * 1000
    return histogram
  }
}
