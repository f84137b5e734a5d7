/** Amounts as people write them: `10s`, `500/s`, `1k`. */
import { InputError } from './input-error.ts'

const MILLISECONDS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
const DURATION = /^(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?$/
const NUMBER = /^(\d+(?:\.\d+)?)\s*(k)?(?:\/s)?$/

/** A duration in milliseconds; a bare number means seconds. */
export const parseDurationMs = (option: string, text: string): number => {
  const match = DURATION.exec(text.trim())
  if (match === null) {
    throw new InputError(`${option}: "${text}" is not a duration (write 500ms, 10s, 2m)`)
  }
  return Number(match[1]) * MILLISECONDS[match[2] ?? 's']!
}

/** A rate or count: digits, `k` for a thousand, `/s` allowed. */
export const parseNumber = (option: string, text: string): number => {
  const match = NUMBER.exec(text.trim())
  if (match === null) throw new InputError(`${option}: "${text}" is not a number`)
  return Number(match[1]) * (match[2] === undefined ? 1 : 1000)
}
