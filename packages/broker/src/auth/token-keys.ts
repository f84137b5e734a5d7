/**
 * The keys that verify tokens, as a service has them now. They are fetched at the start, again every REFRESH_MS,
 * and when a token names one that is not known. While the service is away, those that were fetched last are
 * used for `jwtKeysAgeMaxMs`.
 *
 * In: logins that need newer keys. Out: the keys, or why there are none. Bounds: `jwtKeysFetchesPerMinuteMax`
 * fetches, one at a time, whatever clients ask for: those that come meanwhile wait for the next one together,
 * WAITING_MAX at most.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Limits } from '@breakwater/config'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { TokenBucket } from '../admit/token-bucket.ts'
import { parseJwks } from './jwks.ts'
import type { ServiceClient } from './service-client.ts'

export interface TokenKeys {
  readonly find: JWTVerifyGetKey
  /** By `performance.now()`: when they were asked for. */
  readonly askedAt: number
}

/** Where keys come from. */
export interface TokenKeySource {
  /** Undefined: there are none now. */
  readonly current: TokenKeys | undefined
  /** Resolves when there are newer ones; with why there are none, else. */
  renew(deadlineMs: number): Promise<string | undefined>
}

/** Keys of a file: there are no newer ones than it holds. */
export function fileKeys(current: () => JSONWebKeySet): TokenKeySource {
  const known = new WeakMap<JSONWebKeySet, TokenKeys>()
  return {
    get current(): TokenKeys {
      const set = current()
      const keys = known.get(set) ?? { find: createLocalJWKSet(set), askedAt: Infinity }
      known.set(set, keys)
      return keys
    },
    renew: () => Promise.resolve('keys of a file are read when it changes'),
  }
}

export interface FetchedKeysOptions {
  readonly client: ServiceClient
  /** For messages: where they are fetched, without what may be secret. */
  readonly source: string
  readonly limits: Pick<Limits, 'jwtKeysFetchesPerMinuteMax' | 'jwtKeysAgeMaxMs'>
  readonly onFetched: (keys: number) => void
  readonly onFailed: (why: string) => void
}

const REFRESH_MS = 600_000
const RETRY_MS = 30_000
const BURST_MAX = 4
const MINUTE_S = 60
const WAITING_MAX = 1_000

export class FetchedKeys implements TokenKeySource, Disposable {
  readonly #options: FetchedKeysOptions
  readonly #fetches: TokenBucket
  readonly #stop = new AbortController()
  #keys: TokenKeys | undefined
  #fetching: Promise<string | undefined> | undefined
  /** It is asked, not waited for. */
  #isAsking = false
  #waiting = 0
  /** By `performance.now()`: no fetch before. */
  #restsUntil = 0
  #refresh: NodeJS.Timeout | undefined

  constructor(options: FetchedKeysOptions) {
    this.#options = options
    const perMinute = options.limits.jwtKeysFetchesPerMinuteMax
    this.#fetches = TokenBucket.of(
      perMinute / MINUTE_S,
      Math.min(perMinute, BURST_MAX),
    ) as TokenBucket
    void this.renew(Infinity)
  }

  /** Undefined: there are none. */
  get ageMs(): number | undefined {
    return this.#keys === undefined ? undefined : performance.now() - this.#keys.askedAt
  }

  get current(): TokenKeys | undefined {
    return (this.ageMs ?? Infinity) < this.#options.limits.jwtKeysAgeMaxMs ? this.#keys : undefined
  }

  async renew(deadlineMs: number): Promise<string | undefined> {
    const nowMs = performance.now()
    const waitMs = Math.max(0, this.#restsUntil - nowMs)
    if (!this.#isAsking && nowMs + waitMs > deadlineMs)
      return `${this.#options.source}: keys are fetched again in ${Math.ceil(waitMs / 1_000)} s`
    if (this.#waiting >= WAITING_MAX)
      return `${this.#options.source}: ${WAITING_MAX} logins wait for newer keys`
    this.#waiting += 1
    this.#fetching ??= this.#fetch(waitMs).finally(() => {
      this.#fetching = undefined
    })
    const why = await this.#fetching
    this.#waiting -= 1
    return why
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
    clearTimeout(this.#refresh)
  }

  async #fetch(waitMs: number): Promise<string | undefined> {
    const { signal } = this.#stop
    if (waitMs > 0) await delay(waitMs, undefined, { ref: false, signal }).catch(() => undefined)
    if (signal.aborted) return 'the node stops'
    const askedAt = performance.now()
    this.#restsUntil = askedAt + this.#fetches.take(1, askedAt)
    this.#isAsking = true
    const why = await this.#ask(askedAt)
    this.#isAsking = false
    this.#again(why === undefined ? REFRESH_MS : RETRY_MS)
    return why
  }

  async #ask(askedAt: number): Promise<string | undefined> {
    const { client, source, onFetched, onFailed } = this.#options
    try {
      const { status, text } = await client.get()
      if (status !== 200) throw new Error(`${source}: answered with status ${status}`)
      const set = parseJwks(text, source)
      this.#keys = { find: createLocalJWKSet(set), askedAt }
      onFetched(set.keys.length)
      return undefined
    } catch (error) {
      const { message } = error as Error
      if (!this.#stop.signal.aborted) onFailed(message)
      return message
    }
  }

  #again(afterMs: number): void {
    clearTimeout(this.#refresh)
    if (this.#stop.signal.aborted) return
    this.#refresh = setTimeout(() => void this.renew(Infinity), afterMs).unref()
  }
}
