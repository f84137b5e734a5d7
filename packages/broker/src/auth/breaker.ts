/**
 * Pauses questions to a service that fails: after FAILURES_MAX failures in a row none is asked for `pauseMs`, then
 * one at a time, until one is answered.
 *
 * A single user name can be what makes the service fail. So the pause is for those names that have failed; one
 * that has not is asked about at once, one at a time, until FAILURES_MAX names have failed.
 *
 * In: how each question ended. Out: whether the next one may be asked. Bound: FAILURES_MAX names.
 */
const FAILURES_MAX = 5

export class Breaker {
  readonly #pauseMs: number
  readonly #names = new Set<string>()
  #failures = 0
  #pausedUntil = 0
  #isTrying = false

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs
  }

  /** One question at a time: it is not known whether the service is well again, or for whom. */
  get careful(): boolean {
    return this.#open && (this.#rested || this.#names.size < FAILURES_MAX)
  }

  /** What is said of a name that is not asked about. */
  get reason(): string {
    const waitS = Math.ceil(Math.max(0, this.#pausedUntil - performance.now()) / 1_000)
    const next = waitS === 0 ? 'as soon as the try under way has ended' : `in ${waitS} s`
    return `auth service failed ${this.#failures} times; next try ${next}`
  }

  /** Whether a question about this name may be asked; then one of the other two follows. */
  begins(name: string): boolean {
    if (!this.#open) return true
    if (this.#isTrying) return false
    const isSpared = this.#names.has(name) || this.#names.size >= FAILURES_MAX
    if (isSpared && !this.#rested) return false
    this.#isTrying = true
    return true
  }

  succeeded(): void {
    this.#isTrying = false
    this.#failures = 0
    this.#pausedUntil = 0
    this.#names.clear()
  }

  failed(name: string): void {
    this.#isTrying = false
    this.#failures += 1
    if (this.#names.size < FAILURES_MAX) this.#names.add(name)
    if (this.#open) this.#pausedUntil = performance.now() + this.#pauseMs
  }

  get #open(): boolean {
    return this.#failures >= FAILURES_MAX
  }

  get #rested(): boolean {
    return performance.now() >= this.#pausedUntil
  }
}
