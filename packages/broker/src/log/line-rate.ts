/**
 * How many lines of one kind are written: a bucket for the node, and one for each client or cause that the lines
 * are about. What is not written is counted until somebody takes the count.
 *
 * Bounds: SUBJECTS_MAX buckets; the one that was used longest ago goes first, and whoever it belonged to begins
 * anew, under the rate of the node.
 */
import { TokenBucket } from '../admit/token-bucket.ts'

/** Whom or what lines are about: the id of a connection, an address, a client id, a cause. */
export type Subject = string | number

export interface Suppressed {
  readonly lines: number
  readonly clients: number
  /** There were more clients than can be told apart. */
  readonly orMore: boolean
}

export interface LineRateOptions {
  readonly perSecond: number
  readonly perSubjectPerSecond: number
  /** Instead of both: one line of each subject in so many ms. */
  readonly everyMs?: number
}

interface SubjectState {
  readonly bucket: TokenBucket | undefined
  suppressed: boolean
}

const SUBJECTS_MAX = 1_024
const SECOND_MS = 1_000
/** A client may choose its key: it is short in the table, and not a slice that keeps a larger text alive. */
const KEY_LENGTH = 256

export class LineRate {
  readonly #options: LineRateOptions
  readonly #node: TokenBucket | undefined
  readonly #subjects = new Map<Subject, SubjectState>()
  #last: { readonly subject: Subject; readonly state: SubjectState } | undefined
  #lines = 0
  #clients = 0
  #orMore = false

  constructor(options: LineRateOptions) {
    this.#options = options
    this.#node = TokenBucket.of(options.perSecond)
  }

  get subjects(): number {
    return this.#subjects.size
  }

  /** Whether a line may be written now; then its tokens are taken. */
  takes(subject: Subject | undefined, nowMs: number): boolean {
    const state = subject === undefined ? undefined : this.#stateOf(subject)
    if ((state?.bucket?.takeIfAny(nowMs) ?? true) && (this.#node?.takeIfAny(nowMs) ?? true))
      return true
    this.#lines += 1
    if (state !== undefined && !state.suppressed) {
      state.suppressed = true
      this.#clients += 1
    }
    return false
  }

  /** What was suppressed since it was taken last; undefined if nothing was. */
  takeSuppressed(): Suppressed | undefined {
    if (this.#lines === 0) return undefined
    const taken = { lines: this.#lines, clients: this.#clients, orMore: this.#orMore }
    this.#lines = 0
    this.#clients = 0
    this.#orMore = false
    for (const state of this.#subjects.values()) state.suppressed = false
    return taken
  }

  #stateOf(subject: Subject): SubjectState {
    // A flood has one subject: it stays where it is, last in the table.
    if (this.#last?.subject === subject) return this.#last.state
    const state = this.#lookUp(keyOf(subject))
    this.#last = { subject, state }
    return state
  }

  #lookUp(key: Subject): SubjectState {
    const known = this.#subjects.get(key)
    const state = known ?? { bucket: this.#bucket(), suppressed: false }
    if (known !== undefined) this.#subjects.delete(key)
    this.#subjects.set(key, state)
    if (this.#subjects.size > SUBJECTS_MAX) this.#forgetOldest()
    return state
  }

  #bucket(): TokenBucket | undefined {
    const { everyMs, perSubjectPerSecond } = this.#options
    return everyMs === undefined
      ? TokenBucket.of(perSubjectPerSecond)
      : TokenBucket.of(SECOND_MS / everyMs, 1)
  }

  #forgetOldest(): void {
    for (const [key, { suppressed }] of this.#subjects) {
      this.#subjects.delete(key)
      // Back again it would be counted twice.
      if (suppressed) this.#orMore = true
      return
    }
  }
}

function keyOf(subject: Subject): Subject {
  if (typeof subject === 'number') return subject
  return Buffer.from(subject.slice(0, KEY_LENGTH)).toString('latin1')
}
