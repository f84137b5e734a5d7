/** What is to be reached, as ratios and differences within one run. */
import type { Spread } from './statistics.ts'

export type Rival = 'mosquitto' | 'stock'

const TITLES: Readonly<Record<Rival, string>> = { mosquitto: 'Mosquitto', stock: 'stock' }

/** CPU time per delivered message as a multiple of the rival's, or the p99 beside the rival's. */
export type Goal =
  | { readonly kind: 'cpu-ratio'; readonly against: Rival; readonly atMost: number }
  | { readonly kind: 'p99-margin'; readonly against: Rival; readonly atMostMs: number }

export const GOALS = {
  saturated: [
    { kind: 'cpu-ratio', against: 'mosquitto', atMost: 0.25 },
    { kind: 'cpu-ratio', against: 'stock', atMost: 0.2 },
  ],
  acknowledged: [{ kind: 'cpu-ratio', against: 'mosquitto', atMost: 0.4 }],
  secure: [{ kind: 'cpu-ratio', against: 'mosquitto', atMost: 0.25 }],
  steady: [
    { kind: 'cpu-ratio', against: 'mosquitto', atMost: 1 },
    { kind: 'p99-margin', against: 'mosquitto', atMostMs: 1 },
  ],
} as const satisfies Readonly<Record<string, readonly Goal[]>>

export interface Outcome {
  readonly goal: string
  /** Undefined where the rival was not measured, or only while the generator was late. */
  readonly measured: number | undefined
  readonly reached: boolean | undefined
}

/** Medians decide: of the ratios of each round, and of the differences of each round. */
export function judge(
  goal: Goal,
  against: { readonly cpuRatio: Spread; readonly p99MarginMs: Spread | undefined } | undefined,
): Outcome {
  const [text, bound, measured] =
    goal.kind === 'cpu-ratio'
      ? [`CPU ≤ ${goal.atMost} × ${TITLES[goal.against]}`, goal.atMost, against?.cpuRatio.median]
      : [
          `p99 ≤ ${TITLES[goal.against]} + ${goal.atMostMs} ms`,
          goal.atMostMs,
          against?.p99MarginMs?.median,
        ]
  return { goal: text, measured, reached: measured === undefined ? undefined : measured <= bound }
}
