/**
 * How far this node knows the log, and until when it may act on it.
 *
 * A subscriber is answered when every node has confirmed its filter, or when a node that has not must have
 * stopped acknowledging: its view holds for `viewLeaseMs` from the moment at which it last knew that nothing
 * was missing. Both clocks only measure durations.
 */
import type { Done } from './cluster.ts'
import { Waiters } from './waiters.ts'

export class View {
  readonly #leaseMs: number
  #applied = 0
  /** Whether the tables are what `#applied` says; not while they are read anew. */
  #whole = false
  #confirmedUntil = 0
  /** Heads that were read and are not applied yet, oldest first. */
  #pending: { readonly head: number; readonly askedAt: number }[] = []
  /** By nothing. */
  readonly #confirming: Waiters
  /** By version. */
  readonly #reaching: Waiters
  /** By the time of their question. */
  readonly #catchingUp: Waiters

  constructor(leaseMs: number, timeoutMs: number) {
    this.#leaseMs = leaseMs
    this.#confirming = new Waiters(timeoutMs, "other nodes' filters not known")
    this.#reaching = new Waiters(timeoutMs, "the cluster's log cannot be read")
    this.#catchingUp = new Waiters(timeoutMs, "the end of the cluster's log not reached")
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
    if (this.confirmed && this.#confirming.size === 0) done()
    else this.#confirming.add(0, done)
  }

  /** Calls back when everything up to this version is known here. */
  whenReached(version: number, done: Done): void {
    if (this.#whole && this.#applied >= version) done()
    else this.#reaching.add(version, done)
  }

  /** Calls back when everything that is in the log now is known here: a head must be read after this call. */
  whenCaughtUp(done: Done): void {
    this.#catchingUp.add(performance.now(), done)
  }

  /** The log ended at `head` some time after `askedAt`. */
  headRead(head: number, askedAt: number): void {
    this.#pending.push({ head, askedAt })
    this.#confirm()
  }

  appliedTo(version: number): void {
    this.#applied = version
    this.#whole = true
    this.#reaching.release(version)
    this.#confirm()
  }

  /** Nothing is known any more. */
  reset(): void {
    this.#confirmedUntil = 0
    this.#whole = false
    this.#pending = []
  }

  close(): void {
    for (const waiters of [this.#confirming, this.#reaching, this.#catchingUp]) waiters.close()
  }

  #confirm(): void {
    if (!this.#whole) return
    while ((this.#pending[0]?.head ?? Infinity) <= this.#applied) {
      const { askedAt } = this.#pending.shift() as { askedAt: number }
      this.#confirmedUntil = Math.max(this.#confirmedUntil, askedAt + this.#leaseMs)
      this.#catchingUp.release(askedAt)
    }
    if (this.confirmed) this.#confirming.release(0)
  }
}
