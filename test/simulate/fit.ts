/** Two unknowns from several loads: what each message costs, and what each turn that carries some of them. */
import type { Share } from './unit-costs.ts'

/** Of one message, on average, under one load. */
export interface Observation {
  readonly us: number
  /** Its share of a turn: 1 where each message has one of its own. */
  readonly turns: number
}

/**
 * The costs with which us = messageUs + turns × turnUs is least wrong, each load's error counted relative to its
 * own cost. A cost below nothing is noise: it is nothing, and the other one explains all that it can.
 *
 * @throws {Error} all loads had the same number of messages in a turn
 */
export function shareOf(loads: readonly Observation[]): Share {
  const weighted = loads.map(({ us, turns }) => ({ one: 1 / us, turn: turns / us }))
  const total = (pick: (load: { one: number; turn: number }) => number): number =>
    weighted.reduce((sum, load) => sum + pick(load), 0)
  const [ones, turns, both] = [
    total(({ one }) => one * one),
    total(({ turn }) => turn * turn),
    total(({ one, turn }) => one * turn),
  ]
  const [one, turn] = [total((load) => load.one), total((load) => load.turn)]
  const determinant = ones * turns - both * both
  if (determinant < 1e-6 * ones * turns)
    throw new Error('all loads have the same number of messages in a turn')
  const messageUs = (one * turns - turn * both) / determinant
  const turnUs = (turn * ones - one * both) / determinant
  if (messageUs < 0) return { messageUs: 0, turnUs: turn / turns }
  if (turnUs < 0) return { messageUs: one / ones, turnUs: 0 }
  return { messageUs, turnUs }
}

/** The straight line through two points. */
export function lineThrough(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
): { readonly at0: number; readonly slope: number } {
  const slope = (y2 - y1) / (x2 - x1)
  return { at0: y1 - slope * x1, slope }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
