/** Collects the answers of the writes that one message was split into. */
import type { AppendDone, Appended, PublishEffects } from '../store.ts'

/** Of a write, instead of what was dropped: see BATCH. */
export const LEFT_OUT = -1

/** Of a message that takes effect no more. */
export function leftOutOf({ queues, shared = [] }: PublishEffects): Appended {
  return {
    positions: queues.map(() => LEFT_OUT),
    ...(shared.length === 0 ? {} : { shared: shared.map(() => LEFT_OUT) }),
    dropped: 0,
    retainedChanged: false,
    again: true,
  }
}

/** What one write was asked: what its answer holds follows from it. */
export interface Asked {
  /** Places of the queues among those of the message, in the order in which they are answered. */
  readonly queues: readonly number[]
  /** The same of the shared ones, whose answers come behind. */
  readonly shared: readonly number[]
  /** It sets or clears the retained message. */
  readonly retain: boolean
}

export class EffectAnswers {
  readonly #positions: number[]
  readonly #shared: number[]
  readonly #epochs: number[] = []
  #epochsKnown = 0
  readonly #done: AppendDone
  #retainedChanged = false
  #dropped = 0
  #again = false
  #open: number
  #failure: Error | undefined

  constructor({ queues, shared = [] }: PublishEffects, writes: number, done: AppendDone) {
    this.#positions = Array.from({ length: queues.length }, () => 0)
    this.#shared = Array.from({ length: shared.length }, () => 0)
    this.#open = writes
    this.#done = done
  }

  take(error: Error | undefined, answer: readonly number[] = [], asked: Asked): void {
    this.#failure ??= error
    if (answer[0] === LEFT_OUT) this.#again = true
    else this.#dropped += answer[0] ?? 0
    const hasRetained = asked.retain && answer.length > 1
    if (hasRetained) this.#retainedChanged = answer[1] !== 0
    const { queues, shared } = asked
    const first = hasRetained ? 2 : 1
    const firstShared = first + queues.length
    const firstEpoch = firstShared + shared.length
    for (const [index, place] of queues.entries())
      this.#positions[place] = answer[first + index] ?? 0
    for (const [index, place] of shared.entries())
      this.#shared[place] = answer[firstShared + index] ?? 0
    // They come where the queues of the write are few.
    if (answer.length === firstEpoch + queues.length)
      for (const [index, place] of queues.entries()) {
        this.#epochs[place] = answer[firstEpoch + index] as number
        this.#epochsKnown += 1
      }
    this.#open -= 1
    if (this.#open > 0) return
    const isWhole = this.#epochsKnown > 0 && this.#epochsKnown === this.#positions.length
    this.#done(this.#failure, {
      positions: this.#positions,
      ...(isWhole ? { epochs: this.#epochs } : {}),
      ...(this.#shared.length === 0 ? {} : { shared: this.#shared }),
      dropped: this.#dropped,
      retainedChanged: this.#retainedChanged && !this.#again,
      ...(this.#again ? { again: true } : {}),
    })
  }
}
