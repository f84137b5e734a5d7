/**
 * Who waits until something has got far enough. Bound: `timeoutMs` each, then `done` gets the error; one timer
 * for all of them.
 */
import type { Done } from './cluster.ts'

interface Waiter {
  readonly at: number
  readonly done: Done
  readonly deadline: number
}

export class Waiters {
  readonly #timeoutMs: number
  readonly #complaint: string
  /** Their deadlines rise. */
  #waiting: Waiter[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number, complaint: string) {
    this.#timeoutMs = timeoutMs
    this.#complaint = complaint
  }

  get size(): number {
    return this.#waiting.length
  }

  add(at: number, done: Done): void {
    this.#waiting.push({ at, done, deadline: performance.now() + this.#timeoutMs })
    this.#timer ??= setTimeout(() => this.#expire(), this.#timeoutMs)
  }

  /** Those who wait for this, or for less, have it. */
  release(reached: number): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ at }) => at > reached)
    if (this.#waiting.length === waiting.length) return
    for (const { at, done } of waiting) if (at <= reached) done()
  }

  close(): void {
    clearTimeout(this.#timer)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { done } of waiting) done(new Error('closed: the cluster is left'))
  }

  #expire(): void {
    // A timer may come a part of a millisecond early.
    const now = performance.now() + 1
    while ((this.#waiting[0]?.deadline ?? Infinity) <= now)
      this.#waiting.shift()?.done(new Error(`${this.#complaint} within ${this.#timeoutMs} ms`))
    const next = this.#waiting[0]
    this.#timer =
      next === undefined ? undefined : setTimeout(() => this.#expire(), next.deadline - now)
  }
}
