/** Medians, and how far the rounds of one run are apart. */

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Undefined where there is nothing to sum up. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number }
}

interface Round {
  readonly round: number
}

/**
 * One value per round in which both were measured. Samples of one round are seconds apart, so that
 * what else the machine does weighs on both alike.
 */
export function pairedByRound<Sample extends Round>(
  ours: readonly Sample[],
  theirs: readonly Sample[],
  compare: (ours: Sample, theirs: Sample) => number,
): number[] {
  return ours.flatMap((sample) => {
    const other = theirs.find(({ round }) => round === sample.round)
    return other === undefined ? [] : [compare(sample, other)]
  })
}
