import { expect, test } from 'vitest'
import { seededRandom } from './random.ts'
import { Schedule } from './schedule.ts'

const START_US = 1_000_000_000

const begun = (sources: number, ratePerSecond: number, seed = 7): Schedule => {
  const schedule = new Schedule({ sources, ratePerSecond, random: seededRandom(seed) })
  schedule.begin(START_US)
  return schedule
}

test('a day later, message k of a schedule is still due at start + phase + k periods', () => {
  const schedule = begun(7, 3000)
  const periodUs = 7_000_000 / 3000
  const phases = Array.from({ length: 7 }, (_, i) => schedule.intendedUs(i, 0) - START_US)
  const aDay = (24 * 3600 * 3000) / 7
  for (const [source, phaseUs] of phases.entries()) {
    const k = Math.floor(aDay)
    expect(schedule.intendedUs(source, k)).toBeCloseTo(START_US + phaseUs + k * periodUs, 3)
  }
})

test('the schedule cursor visits every message of every source once, in order of time', () => {
  const schedule = begun(23, 5000)
  const sequences = Array.from({ length: 23 }, () => 0)
  let before = Number.NEGATIVE_INFINITY
  for (let n = 0; n < 23 * 100; n++) {
    const source = schedule.nextSource
    expect(schedule.nextUs).toBe(schedule.intendedUs(source, sequences[source] ?? 0))
    expect(schedule.nextUs).toBeGreaterThanOrEqual(before)
    before = schedule.nextUs
    sequences[source] = (sequences[source] ?? 0) + 1
    schedule.advance()
  }
  expect(new Set(sequences)).toEqual(new Set([100]))
})

test.each([
  [1, 10],
  [3, 1000],
  [500, 2000],
  [1000, 7.5],
])(
  'a schedule of %i sources at %d/s has ten messages of each source in ten periods',
  (sources, rate) => {
    const schedule = begun(sources, rate)
    const endUs = START_US + (10 * sources * 1_000_000) / rate
    let messages = 0
    for (; schedule.nextUs < endUs; schedule.advance()) messages += 1
    expect(messages).toBe(10 * sources)
  },
)

test('the phases of a schedule fill the period: one source in each slice', () => {
  const sources = 50
  const schedule = begun(sources, 100)
  const sliceUs = schedule.periodUs / sources
  const slices = Array.from({ length: sources }, (_, source) =>
    Math.floor((schedule.intendedUs(source, 0) - START_US) / sliceUs),
  )
  expect(new Set(slices).size).toBe(sources)
  expect(slices).not.toEqual(slices.toSorted((a, b) => a - b))
})

test('the same seed gives the same schedule, and another seed gives another schedule', () => {
  const times = (seed: number): number[] => {
    const schedule = begun(10, 100, seed)
    return Array.from({ length: 10 }, (_, source) => schedule.intendedUs(source, 0))
  }
  expect(times(3)).toEqual(times(3))
  expect(times(3)).not.toEqual(times(4))
})
