/**
 * The ways of logging in that a configuration names, with what they share. They are asked in turn: token, password
 * file, HTTP hook; the first answer counts. Where none has one, a client that shows nothing is let in if its
 * listener allows that, and is nobody then; one that shows a user name or a password which nothing can check is
 * refused everywhere.
 */
import type { Config } from '@breakwater/config'
import type { Answer, Authenticator, Credentials } from './answer.ts'
import { FailedLogins } from './failed-logins.ts'
import { HttpHook } from './http-hook.ts'
import { LoginQueue } from './login-queue.ts'
import { passwordWay } from './password-way.ts'
import { ServiceClient } from './service-client.ts'
import { createTokenAuthenticator } from './token.ts'
import { FetchedKeys, fileKeys, type TokenKeySource } from './token-keys.ts'
import type { Events } from '../observe/events.ts'
import { keepFile, type GoodFile } from '../files/kept-file.ts'
import type { QueuedWay } from '../observe/login-events.ts'
import type { NodeFiles } from '../files/node-files.ts'
import type { WatchedFiles } from '../files/watched-files.ts'

/** Of an answer of the HTTP hook. */
const ANSWER_BYTES_MAX = 65_536
/** Of the keys of tokens. */
const KEYS_BYTES_MAX = 262_144
const KEYS_TIMEOUT_MS = 3_000

export class LoginWays implements Disposable {
  readonly #all: readonly Authenticator[]
  readonly #config: Config
  readonly #events: Events
  readonly #watched: WatchedFiles
  readonly #failed: FailedLogins
  readonly #resources: Disposable[] = []

  constructor(config: Config, files: NodeFiles, watched: WatchedFiles, events: Events) {
    this.#config = config
    this.#events = events
    this.#watched = watched
    this.#failed = new FailedLogins(config.limits)
    const ways = [this.#tokens(files), this.#passwords(files), this.#hook(files)]
    this.#all = ways.filter((way) => way !== undefined)
  }

  async ask(credentials: Credentials, allowAnonymous: boolean): Promise<Answer> {
    for (const way of this.#all) {
      const answer = await way(credentials)
      if (answer !== undefined) return answer
    }
    const { username, password } = credentials
    if (username === undefined && password === undefined)
      return allowAnonymous ? { username: undefined } : { refused: 'not-authorized' }
    return this.#all.length === 0
      ? { refused: 'bad-credentials', detail: 'this node has nothing to check credentials with' }
      : { refused: 'bad-credentials' }
  }

  [Symbol.dispose](): void {
    for (const resource of this.#resources) resource[Symbol.dispose]()
  }

  #tokens(files: NodeFiles): Authenticator | undefined {
    const { jwt } = this.#config
    if (jwt === undefined) return undefined
    return createTokenAuthenticator({ ...jwt, keys: this.#keysOf(jwt.keys, files) })
  }

  #keysOf(keys: string | URL, { tokenKeys, tokenKeysCa }: NodeFiles): TokenKeySource {
    const { limits } = this.#config
    const { logins } = this.#events
    const file = this.#kept(tokenKeys)
    if (file !== undefined) return fileKeys(file)
    const url = keys as URL
    const client = this.#owned(
      new ServiceClient({
        url,
        timeoutMs: KEYS_TIMEOUT_MS,
        bytesMax: KEYS_BYTES_MAX,
        authorities: this.#kept(tokenKeysCa),
        authoritiesSetting: 'BREAKWATER_JWT_CA',
      }),
    )
    const fetched = this.#owned(
      new FetchedKeys({
        client,
        source: url.host,
        limits,
        onFetched: (count) => logins.keysFetched(count),
        onFailed: (why) => logins.keysUnavailable(why),
      }),
    )
    logins.keysAge(() => fetched.ageMs)
    return fetched
  }

  #passwords(files: NodeFiles): Authenticator | undefined {
    const { authHttp, limits } = this.#config
    const passwords = this.#kept(files.passwords)
    if (passwords === undefined) return undefined
    return passwordWay({
      passwords,
      decides: authHttp === undefined,
      queue: this.#queueOf('password', () => limits.loginChecksMax),
    })
  }

  #hook({ authHttpToken, authHttpCa }: NodeFiles): Authenticator | undefined {
    const { authHttp, limits } = this.#config
    if (authHttp === undefined) return undefined
    const client = this.#owned(
      new ServiceClient({
        url: authHttp.url,
        timeoutMs: limits.authHttpTimeoutMs,
        bytesMax: ANSWER_BYTES_MAX,
        authorities: this.#kept(authHttpCa),
        authoritiesSetting: 'BREAKWATER_AUTH_HTTP_CA',
        token: this.#kept(authHttpToken),
      }),
    )
    const hook = new HttpHook({
      client,
      cacheMs: limits.authHttpCacheMs,
      requestsMax: limits.authHttpRequestsMax,
      pauseMs: limits.authHttpPauseMs,
      queue: (places) => this.#queueOf('http', places),
    })
    return hook.authenticate
  }

  #queueOf(way: QueuedWay, places: () => number): LoginQueue {
    const { logins } = this.#events
    const queue = this.#owned(
      new LoginQueue({
        limits: this.#config.limits,
        failed: this.#failed,
        places,
        onBegun: (waitedMs) => logins.checkBegun(way, waitedMs),
        onDropped: (why, count) => logins.dropped(way, why, count),
        onDrawn: (won) => logins.drawn(way, won),
      }),
    )
    logins.waiting(way, queue)
    return queue
  }

  /** What is in the file now. */
  #kept<Content>(file: GoodFile<Content> | undefined): (() => Content) | undefined {
    if (file === undefined) return undefined
    const kept = this.#owned(keepFile(this.#events, this.#watched, file))
    return () => kept.current
  }

  #owned<Resource extends Disposable>(resource: Resource): Resource {
    this.#resources.push(resource)
    return resource
  }
}
