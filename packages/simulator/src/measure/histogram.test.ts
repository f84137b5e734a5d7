import { expect, test } from 'vitest'
import { Histogram } from './histogram.ts'
import { seededRandom } from '../load/random.ts'

const QUANTILES = [0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1]

/** The value at a rank of a sorted list: what the histogram approximates. */
const exact = (sorted: readonly number[], quantile: number): number =>
  sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1] ?? Number.NaN

test.each([
  ['microseconds', 250],
  ['milliseconds', 90_000],
  ['minutes', 1_800_000_000],
])(
  'a histogram percentile of %s is never below the true value and at most 0.8 %% above',
  (_, scale) => {
    const random = seededRandom(1)
    const histogram = new Histogram()
    const values = Array.from({ length: 20_000 }, () => Math.floor(random() ** 3 * scale))
    for (const value of values) histogram.record(value)
    const sorted = values.sort((a, b) => a - b)
    for (const quantile of QUANTILES) {
      const truth = exact(sorted, quantile)
      expect(histogram.quantileUs(quantile)).toBeGreaterThanOrEqual(truth)
      expect(histogram.quantileUs(quantile)).toBeLessThanOrEqual(truth * (1 + 1 / 128))
    }
  },
)

test('histogram values below 256 µs are exact', () => {
  for (let value = 0; value < 256; value++) {
    const histogram = new Histogram()
    histogram.record(value)
    histogram.record(1_000_000)
    expect(histogram.quantileUs(0.5)).toBe(value)
  }
})

test('every power of two and its neighbours stay within the histogram error', () => {
  for (let bits = 0; bits < 31; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
      const histogram = new Histogram()
      histogram.record(value)
      histogram.record(2 ** 31 - 1)
      expect(histogram.quantileUs(0.5)).toBeGreaterThanOrEqual(value)
      expect(histogram.quantileUs(0.5)).toBeLessThanOrEqual(value * (1 + 1 / 128))
    }
  }
})

test('a histogram counts an impossible value at the nearest possible one', () => {
  const histogram = new Histogram()
  histogram.record(-5)
  histogram.record(1e15)
  expect(histogram.count).toBe(2)
  expect(histogram.summary()).toMatchObject({ minMs: 0, maxMs: (2 ** 31 - 1) / 1000 })
})

test('an empty histogram is all zero', () => {
  const { count, minMs, meanMs, p50Ms, p999Ms, maxMs } = new Histogram().summary()
  expect([count, minMs, meanMs, p50Ms, p999Ms, maxMs]).toEqual([0, 0, 0, 0, 0, 0])
})

test('merging two histograms equals recording both', () => {
  const [left, right, both] = [new Histogram(), new Histogram(), new Histogram()]
  const random = seededRandom(2)
  for (let n = 0; n < 5000; n++) {
    const value = Math.floor(random() * 1e6)
    const half = n % 3 === 0 ? left : right
    half.record(value)
    both.record(value)
  }
  left.merge(right)
  expect(left.toRecord()).toEqual(both.toRecord())
})

test('a histogram interval contains the values recorded after its copy', () => {
  const histogram = new Histogram()
  for (let n = 0; n < 100; n++) histogram.record(50_000)
  const earlier = histogram.copy()
  for (let n = 0; n < 10; n++) histogram.record(100)
  const interval = histogram.since(earlier)
  expect(interval.count).toBe(10)
  expect(interval.quantileUs(0.99)).toBe(100)
  expect(histogram.count).toBe(110)
})

test('a serialised histogram can be read back and merged', () => {
  const histogram = new Histogram()
  for (let value = 1; value < 100_000; value *= 3) histogram.record(value)
  const read = Histogram.fromRecord(JSON.parse(JSON.stringify(histogram.toRecord())))
  expect(read.toRecord()).toEqual(histogram.toRecord())
})
