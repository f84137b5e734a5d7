import { expect, test } from 'vitest'
import { parseDurationMs, parseNumber } from './quantity.ts'

test.each([
  ['10', 10_000],
  ['500ms', 500],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['250us', 0.25],
])('the duration %s is %d ms', (text, ms) => {
  expect(parseDurationMs('--duration', text)).toBe(ms)
})

test.each([
  ['1000', 1000],
  ['10k', 10_000],
  ['2.5k/s', 2500],
  ['7/s', 7],
])('the number %s is %d', (text, value) => {
  expect(parseNumber('--rate', text)).toBe(value)
})

test.each(['', 'ten', '-5', '5 apples', '1e3', '0x10', 'Infinity', '5s5'])(
  'the quantity %j is refused',
  (text) => {
    expect(() => parseNumber('--rate', text)).toThrow(/^--rate: /)
    expect(() => parseDurationMs('--duration', text)).toThrow(/^--duration: /)
  },
)
