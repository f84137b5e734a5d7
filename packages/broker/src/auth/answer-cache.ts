/**
 * Right answers of the HTTP hook, remembered for a while so that a crowd that comes back does not fall upon the
 * service as well.
 *
 * Bounds: ANSWERS_MAX answers and BYTES_MAX bytes. At a bound the oldest answer of the same user name goes if
 * it has more than its share, else the oldest of all: a user name cannot push out those of all others.
 */
import type { Answer } from './answer.ts'

interface Remembered {
  readonly answer: Answer
  readonly until: number
  readonly username: string
  readonly bytes: number
}

const ANSWERS_MAX = 100_000
const BYTES_MAX = 67_108_864

export class AnswerCache {
  readonly #answers = new Map<string, Remembered>()
  /** Marks by user name, in the order in which they came. */
  readonly #marks = new Map<string, Set<string>>()
  #bytes = 0

  get size(): number {
    return this.#answers.size
  }

  find(mark: string): Answer | undefined {
    const known = this.#answers.get(mark)
    if (known === undefined) return undefined
    if (known.until > Date.now()) return known.answer
    this.#delete(mark)
    return undefined
  }

  /** `bytes`: what the answer takes. */
  add(mark: string, username: string, answer: Answer, until: number, bytes: number): void {
    this.#delete(mark)
    this.#answers.set(mark, { answer, until, username, bytes })
    const marks = this.#marks.get(username) ?? new Set()
    this.#marks.set(username, marks.add(mark))
    this.#bytes += bytes
    while (this.#answers.size > ANSWERS_MAX || this.#bytes > BYTES_MAX) {
      const share = this.#answers.size / this.#marks.size
      const own = this.#marks.get(username)
      const [oldest] = own !== undefined && own.size > share ? own : this.#answers.keys()
      if (oldest === undefined) return
      this.#delete(oldest)
    }
  }

  #delete(mark: string): void {
    const known = this.#answers.get(mark)
    if (known === undefined) return
    this.#answers.delete(mark)
    this.#bytes -= known.bytes
    const marks = this.#marks.get(known.username)
    marks?.delete(mark)
    if (marks?.size === 0) this.#marks.delete(known.username)
  }
}
