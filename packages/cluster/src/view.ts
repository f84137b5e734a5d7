/**
 * How far this node knows the log, and until when it may act on it.
 *
 * A subscriber is answered when every node has confirmed its filter, or when a node that has not must have
 * stopped acknowledging: its view holds for `viewLeaseMs` from the moment at which it last knew that nothing
 * was missing. Both clocks only measure durations.
 */
import type { Done } from './cluster.ts'

export class View {
  readonly #leaseMs: number
  readonly #timeoutMs: number
  #applied = 0
  #confirmedUntil = 0
  /** Heads that were read and are not applied yet, oldest first. */
  #pending: { readonly head: number; readonly askedAt: number }[] = []
  #reaching: { readonly version: number; readonly resolve: () => void }[] = []
  #timer: NodeJS.Timeout | undefined
  #waiters: { readonly done: Done; readonly deadline: number }[] = []

  constructor(leaseMs: number, timeoutMs: number) {
    this.#leaseMs = leaseMs
    this.#timeoutMs = timeoutMs
  }

  get applied(): number {
    return this.#applied
  }

  get confirmed(): boolean {
    return performance.now() < this.#confirmedUntil
  }

  /** It was confirmed, and is not any more: Redis has not answered lately. */
  get lapsed(): boolean {
    return this.#confirmedUntil > 0 && !this.confirmed
  }

  whenConfirmed(done: Done): void {
    if (this.confirmed && this.#waiters.length === 0) {
      done()
      return
    }
    this.#waiters.push({ done, deadline: performance.now() + this.#timeoutMs })
    this.#timer ??= setTimeout(() => this.#expire(), this.#timeoutMs)
  }

  /** Resolves when everything up to this version is known here. */
  async reached(version: number): Promise<void> {
    if (this.#applied >= version) return
    await new Promise<void>((resolve) => this.#reaching.push({ version, resolve }))
  }

  /** The log ended at `head` some time after `askedAt`. */
  headRead(head: number, askedAt: number): void {
    this.#pending.push({ head, askedAt })
    this.#confirm()
  }

  appliedTo(version: number): void {
    this.#applied = version
    const reaching = this.#reaching
    this.#reaching = reaching.filter((wait) => wait.version > version)
    for (const wait of reaching) if (wait.version <= version) wait.resolve()
    this.#confirm()
  }

  /** Nothing is known any more. */
  reset(): void {
    this.#confirmedUntil = 0
    this.#pending = []
  }

  close(): void {
    clearTimeout(this.#timer)
    const waiters = this.#waiters
    this.#waiters = []
    for (const { done } of waiters) done(new Error('closed: the cluster is left'))
  }

  #confirm(): void {
    while ((this.#pending[0]?.head ?? Infinity) <= this.#applied) {
      const { askedAt } = this.#pending.shift() as { askedAt: number }
      this.#confirmedUntil = Math.max(this.#confirmedUntil, askedAt + this.#leaseMs)
    }
    if (!this.confirmed) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const { done } of waiters) done()
  }

  /** Gives up those that have waited for too long; their deadlines rise. */
  #expire(): void {
    // A timer may come a part of a millisecond early.
    const now = performance.now() + 1
    while ((this.#waiters[0]?.deadline ?? Infinity) <= now)
      this.#waiters
        .shift()
        ?.done(new Error(`other nodes' filters not known within ${this.#timeoutMs} ms`))
    const next = this.#waiters[0]
    this.#timer =
      next === undefined ? undefined : setTimeout(() => this.#expire(), next.deadline - now)
  }
}
