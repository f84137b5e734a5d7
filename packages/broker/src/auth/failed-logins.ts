/**
 * Tokens of failed logins: each login that fails takes one of its user name, and one of its address where that
 * is the client's own. A name that does not exist has tokens too: they tell nobody which names do.
 * (decision 0007)
 *
 * Bounds: the limits; KEYS_MAX names and addresses, of which the one that was used longest ago is forgotten
 * first. A bucket is full again after a minute, so what is forgotten after that was worth nothing.
 */
import type { Limits } from '@breakwater/config'
import { TokenBucket } from '../route/token-bucket.ts'

type FailureLimits = Pick<
  Limits,
  'failedLoginsPerUserPerMinuteMax' | 'failedLoginsPerAddressPerMinuteMax'
>

export interface FailureTokens {
  /** For the log: of what they are. */
  readonly of: 'user' | 'address'
  readonly bucket: TokenBucket
}

const KEYS_MAX = 65_536
const MINUTE_S = 60

export class FailedLogins {
  readonly #limits: FailureLimits
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(limits: FailureLimits) {
    this.#limits = limits
  }

  get keys(): number {
    return this.#buckets.size
  }

  /** What a login needs a token of each of; none where there is no limit. */
  tokensOf(username: string, site: string | undefined): readonly FailureTokens[] {
    const { failedLoginsPerUserPerMinuteMax, failedLoginsPerAddressPerMinuteMax } = this.#limits
    const tokens: FailureTokens[] = []
    const user = this.#bucketOf(`user ${username}`, failedLoginsPerUserPerMinuteMax)
    if (user !== undefined) tokens.push({ of: 'user', bucket: user })
    if (site === undefined) return tokens
    const address = this.#bucketOf(`site ${site}`, failedLoginsPerAddressPerMinuteMax)
    if (address !== undefined) tokens.push({ of: 'address', bucket: address })
    return tokens
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
}
