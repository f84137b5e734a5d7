/**
 * The clock of Redis, as this node knows it: what a message expires by, for the clocks of nodes may differ by seconds.
 *
 * In: the time that Redis said, and when it was asked and heard. Out: its time now, also while it does not answer. The
 * error is half of the round trip at most. It runs on from what was heard last; where another server's clock is
 * behind, it steps back by no more than the error, so that nothing that has expired comes to life again.
 */
export class RedisClock {
  /** What is to be added to the monotonic clock, ms. */
  #offset = performance.timeOrigin
  #heard = false

  /** ms since the epoch. */
  now(): number {
    return performance.now() + this.#offset
  }

  /** `redisMs`: what Redis said; the others are of the monotonic clock. */
  heard(redisMs: number, askedAt: number, heardAt: number): void {
    const errorMs = (heardAt - askedAt) / 2
    const offset = redisMs - (askedAt + errorMs)
    this.#offset = this.#heard ? Math.max(offset, this.#offset - errorMs) : offset
    this.#heard = true
  }
}
