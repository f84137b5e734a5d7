import type { QoS } from '@breakwater/mqtt'

/**
 * What the control plane programs into a table: one object per live connection or stored session.
 * Both fields start at 0 and belong to the tables from then on.
 */
export interface Target {
  /** The number that tables know this target by, stamped on it by the first that needs one. */
  matchStamp: number
  /** Scratch: where in the result of the match under way the target was put. */
  matchIndex: number
}

/**
 * The targets of one topic, each once, and at the same index the highest QoS of its matching
 * filters. The arrays are never changed once they have been handed out, so a long fan-out may yield
 * to the event loop between two targets; what it then holds is the table as it was at the match.
 */
export interface Matches<T> {
  readonly targets: readonly T[]
  readonly qos: readonly QoS[]
}

export const NO_MATCHES: Matches<never> = Object.freeze({ targets: [], qos: [] })
