/**
 * Tokens of failed logins: each login that fails takes one of its user name, and one of its address where that
 * is the client's own. A name that does not exist has tokens too: they tell nobody which names do.
 * (decision 0007)
 *
 * Bounds: the limits; KEYS_MAX names that are known, names that are not, and addresses: of each kind the one that
 * was used longest ago is forgotten first. So ever-new names, which cost their client nothing but a connection,
 * do not make the node forget who has failed. A bucket is full again after a minute: what is forgotten after
 * that was worth nothing.
 */
import type { Limits } from '@breakwater/config'
import { TokenBucket } from '../admit/token-bucket.ts'

type FailureLimits = Pick<
  Limits,
  'failedLoginsPerUserPerMinuteMax' | 'failedLoginsPerAddressPerMinuteMax'
>

interface FailingLogin {
  readonly username: string
  /** Undefined where it is not known to be the client's. */
  readonly network: string | undefined
  /** The name is known not to exist. */
  readonly isFree: boolean
}

export interface FailureTokens {
  /** For the log: of what they are. */
  readonly of: 'user' | 'address'
  readonly bucket: TokenBucket
}

const KEYS_MAX = 65_536
const MINUTE_S = 60

export class FailedLogins {
  readonly #limits: FailureLimits
  readonly #users = new Map<string, TokenBucket>()
  readonly #strangers = new Map<string, TokenBucket>()
  readonly #addresses = new Map<string, TokenBucket>()

  constructor(limits: FailureLimits) {
    this.#limits = limits
  }

  get keys(): number {
    return this.#users.size + this.#strangers.size + this.#addresses.size
  }

  /** What a login needs a token of each of; none where there is no limit. */
  tokensOf({ username, network, isFree }: FailingLogin): readonly FailureTokens[] {
    const { failedLoginsPerUserPerMinuteMax, failedLoginsPerAddressPerMinuteMax } = this.#limits
    const tokens: FailureTokens[] = []
    const user = bucketIn(
      isFree ? this.#strangers : this.#users,
      username,
      failedLoginsPerUserPerMinuteMax,
    )
    if (user !== undefined) tokens.push({ of: 'user', bucket: user })
    if (network === undefined) return tokens
    const address = bucketIn(this.#addresses, network, failedLoginsPerAddressPerMinuteMax)
    if (address !== undefined) tokens.push({ of: 'address', bucket: address })
    return tokens
  }
}

function bucketIn(
  buckets: Map<string, TokenBucket>,
  key: string,
  perMinute: number,
): TokenBucket | undefined {
  const bucket = buckets.get(key) ?? TokenBucket.of(perMinute / MINUTE_S, perMinute)
  if (bucket === undefined) return undefined
  buckets.delete(key)
  buckets.set(key, bucket)
  if (buckets.size > KEYS_MAX) {
    const [oldest] = buckets.keys()
    if (oldest !== undefined) buckets.delete(oldest)
  }
  return bucket
}
