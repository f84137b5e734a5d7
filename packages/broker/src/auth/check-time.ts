/**
 * How long passwords of one kind of hash take to check now, so that a user name that does not exist can be
 * answered after the same time without a check: whoever tries ever-new names costs a node nothing but the
 * connection.
 *
 * In: checks that are made. Out: a wait as long as the last one. Where none was made for FRESH_MS, one is made
 * for this, and all that come meanwhile wait for it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { VerifyPassword } from './mosquitto-hash.ts'

const FRESH_MS = 5_000

export class CheckTime {
  readonly #verify: VerifyPassword
  #lastMs = 0
  #measuredAt = -Infinity
  #measuring: Promise<unknown> | undefined

  /** `verify`: any check of this kind. */
  constructor(verify: VerifyPassword) {
    this.#verify = verify
  }

  async measure<T>(check: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    const result = await check()
    this.#measuredAt = performance.now()
    this.#lastMs = this.#measuredAt - startedAt
    return result
  }

  async pass(password: Buffer): Promise<void> {
    const startedAt = performance.now()
    if (startedAt - this.#measuredAt > FRESH_MS) {
      this.#measuring ??= this.measure(() => this.#verify(password)).finally(() => {
        this.#measuring = undefined
      })
      await this.#measuring
    }
    const leftMs = this.#lastMs - (performance.now() - startedAt)
    if (leftMs > 0) await delay(leftMs)
  }
}
