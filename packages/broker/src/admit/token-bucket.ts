/**
 * A rate with a burst, of one second unless said otherwise. Taking more than there is is allowed once: the debt is the time to wait.
 */
export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #filledAt: number

  private constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#filledAt = performance.now()
  }

  /** `perSecond` 0 is no limit, and no bucket. */
  static of(perSecond: number, burst: number = perSecond): TokenBucket | undefined {
    return perSecond === 0 ? undefined : new TokenBucket(perSecond, burst)
  }

  /** Takes tokens; returns how many ms to wait before taking again. */
  take(tokens: number, nowMs: number): number {
    this.#fill(nowMs)
    this.#tokens -= tokens
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond) * 1_000)
  }

  holdsAny(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= 1
  }

  /** Takes one, if there is one: no debt. */
  takeIfAny(nowMs: number): boolean {
    this.#fill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** One that was taken was not needed. */
  give(): void {
    this.#tokens += 1
  }

  #fill(nowMs: number): void {
    const filled = (Math.max(0, nowMs - this.#filledAt) / 1_000) * this.#perSecond
    this.#tokens = Math.min(this.#burst, this.#tokens + filled)
    this.#filledAt = nowMs
  }
}
