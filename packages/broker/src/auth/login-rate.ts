/**
 * Bounds guessing: each failed login takes a token of its user name, and of its address where that is the client's
 * own. Without one a try is not refused, or whoever fails on purpose would lock out the right one: all such
 * tries of a second draw lots, and a few of them are checked. What was proven before needs neither.
 * (decision 0007)
 *
 * In: tries, each with the check that it asks for. Out: the answer, or `login-rate`. Bounds: the limits; KEYS_MAX
 * names and addresses, of which the one that failed longest ago is forgotten first. One timer for all lots, and
 * only while somebody waits.
 */
import { randomInt } from 'node:crypto'
import type { Limits } from '@breakwater/config'
import { TokenBucket } from '../route/token-bucket.ts'
import { isRefused, type Answer } from './answer.ts'

type LoginLimits = Pick<
  Limits,
  | 'failedLoginsPerUserPerMinuteMax'
  | 'failedLoginsPerAddressPerMinuteMax'
  | 'throttledLoginsPerSecondMax'
>

interface Try {
  readonly username: string
  /** Undefined where it is not known to be the client's. */
  readonly site: string | undefined
}

/** Those who draw lots for one key in this second. */
interface Draw {
  readonly chosen: ((isChosen: boolean) => void)[]
  tries: number
}

const KEYS_MAX = 65_536
const DRAW_MS = 1_000
const MINUTE_S = 60

export class LoginRate implements Disposable {
  readonly #limits: LoginLimits
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #draws = new Map<string, Draw>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: LoginLimits) {
    this.#limits = limits
  }

  get keys(): number {
    return this.#buckets.size
  }

  /** Asks for the answer now, or when its lot is drawn. */
  async ask<T extends Answer | undefined>(
    { username, site }: Try,
    check: () => Promise<T>,
  ): Promise<T | Answer> {
    const { failedLoginsPerUserPerMinuteMax, failedLoginsPerAddressPerMinuteMax } = this.#limits
    const taken: TokenBucket[] = []
    for (const [key, perMinute] of [
      [`user ${username}`, failedLoginsPerUserPerMinuteMax],
      [`site ${site}`, site === undefined ? 0 : failedLoginsPerAddressPerMinuteMax],
    ] as const) {
      const bucket = this.#bucketOf(key, perMinute)
      if (bucket === undefined) continue
      if (bucket.takeIfAny(performance.now())) taken.push(bucket)
      else if (!(await this.#drawLots(key))) {
        for (const other of taken) other.give()
        return { refused: 'login-rate', detail: `too many failed logins of its ${key.slice(0, 4)}` }
      }
    }
    const answer = await check()
    const hasFailed =
      answer !== undefined && isRefused(answer) && answer.refused === 'bad-credentials'
    if (!hasFailed) for (const bucket of taken) bucket.give()
    return answer
  }

  [Symbol.dispose](): void {
    this.#draw(false)
  }

  #bucketOf(key: string, perMinute: number): TokenBucket | undefined {
    const bucket = this.#buckets.get(key) ?? TokenBucket.of(perMinute / MINUTE_S, perMinute)
    if (bucket === undefined) return undefined
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > KEYS_MAX) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return bucket
  }

  /**
   * Each try of this second has the same chance, whenever in it it came: whoever is quick has no advantage
   * (reservoir sampling).
   */
  #drawLots(key: string): Promise<boolean> {
    const draw = this.#draws.get(key) ?? { chosen: [], tries: 0 }
    this.#draws.set(key, draw)
    this.#timer ??= setInterval(() => this.#draw(true), DRAW_MS).unref()
    draw.tries += 1
    const { chosen, tries } = draw
    return new Promise((resolve) => {
      if (chosen.length < this.#limits.throttledLoginsPerSecondMax) {
        chosen.push(resolve)
        return
      }
      const place = randomInt(tries)
      const loser = chosen[place]
      if (loser !== undefined) chosen[place] = resolve
      ;(loser ?? resolve)(false)
    })
  }

  #draw(isChosen: boolean): void {
    const draws = [...this.#draws.values()]
    this.#draws.clear()
    for (const { chosen } of draws) for (const resolve of chosen) resolve(isChosen)
    if (draws.length > 0 && isChosen) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
