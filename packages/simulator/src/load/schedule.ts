/**
 * When every message is meant to leave: t_k = start + phase + k · period, per source.
 *
 * Times are computed from k, never from the time of the message before, so a late message does not
 * move the ones after it and nothing drifts. The phases spread the sources over one period: each
 * source has a slice of its own and a random place in it, so that no two sources fire together and
 * the order of sources, chosen once, is the same in every period. That makes the merged schedule
 * of all sources one cursor; no heap and no timer per source is needed.
 */
import { shuffledIndexes } from './random.ts'

export interface ScheduleOptions {
  readonly sources: number
  /** Messages per second of all sources together. */
  readonly ratePerSecond: number
  readonly random: () => number
}

export class Schedule {
  readonly periodUs: number
  readonly #sources: number
  readonly #order: Uint32Array
  readonly #phasesUs: Float64Array // by source
  #startUs = 0
  #round = 0
  #rank = 0

  constructor(options: ScheduleOptions) {
    this.#sources = options.sources
    this.periodUs = (options.sources / options.ratePerSecond) * 1_000_000
    this.#order = shuffledIndexes(options.sources, options.random)
    this.#phasesUs = new Float64Array(options.sources)
    const sliceUs = this.periodUs / options.sources
    for (let rank = 0; rank < options.sources; rank++) {
      this.#phasesUs[this.#order[rank]!] = (rank + options.random()) * sliceUs
    }
  }

  /** Puts the cursor on the first message; the first period begins at `startUs`. */
  begin(startUs: number): void {
    this.#startUs = startUs
    this.#round = 0
    this.#rank = 0
  }

  /** When message `sequence` (from 0) of a source is meant to leave. */
  intendedUs(source: number, sequence: number): number {
    return this.#startUs + this.#phasesUs[source]! + sequence * this.periodUs
  }

  /** The source of the next message. */
  get nextSource(): number {
    return this.#order[this.#rank]!
  }

  /** When the next message is meant to leave. */
  get nextUs(): number {
    return this.intendedUs(this.nextSource, this.#round)
  }

  /** Moves the cursor to the message after the next one. */
  advance(): void {
    this.#rank += 1
    if (this.#rank < this.#sources) return
    this.#rank = 0
    this.#round += 1
  }
}
