/**
 * The ways of logging in that a configuration names, in the order in which they are asked, with what they share.
 * Composition, like gate.ts, whose part it is.
 */
import type { Config } from '@breakwater/config'
import type { Authenticator } from './auth/answer.ts'
import { FailedLogins } from './auth/failed-logins.ts'
import { HttpHook } from './auth/http-hook.ts'
import { LoginQueue } from './auth/login-queue.ts'
import { passwordWay } from './auth/password-way.ts'
import { ServiceClient } from './auth/service-client.ts'
import { createTokenAuthenticator } from './auth/token.ts'
import type { Events } from './events.ts'
import { keepFile } from './kept-file.ts'
import type { QueuedWay } from './login-events.ts'
import type { NodeFiles } from './node-files.ts'
import type { WatchedFiles } from './watched-files.ts'

/** Of an answer of the HTTP hook. */
const ANSWER_BYTES_MAX = 65_536

export class LoginWays implements Disposable {
  readonly all: readonly Authenticator[]
  readonly #config: Config
  readonly #events: Events
  readonly #failed: FailedLogins
  readonly #resources: Disposable[] = []

  constructor(config: Config, files: NodeFiles, watched: WatchedFiles, events: Events) {
    this.#config = config
    this.#events = events
    this.#failed = new FailedLogins(config.limits)
    const ways = [this.#tokens(files), this.#passwords(files, watched), this.#hook()]
    this.all = ways.filter((way) => way !== undefined)
  }

  [Symbol.dispose](): void {
    for (const resource of this.#resources) resource[Symbol.dispose]()
  }

  #tokens({ tokenKeys }: NodeFiles): Authenticator | undefined {
    const { jwt } = this.#config
    if (jwt === undefined) return undefined
    const keys = tokenKeys?.content ?? (jwt.keys as URL)
    return createTokenAuthenticator({ ...jwt, keys })
  }

  #passwords({ passwords }: NodeFiles, watched: WatchedFiles): Authenticator | undefined {
    const { authHttpUrl, limits } = this.#config
    if (passwords === undefined) return undefined
    const file = this.#owned(keepFile(this.#events, watched, passwords))
    return passwordWay({
      passwords: () => file.current,
      decides: authHttpUrl === undefined,
      queue: this.#queueOf('password', () => limits.loginChecksMax),
    })
  }

  #hook(): Authenticator | undefined {
    const { authHttpUrl, limits } = this.#config
    if (authHttpUrl === undefined) return undefined
    const client = this.#owned(
      new ServiceClient({
        url: authHttpUrl,
        timeoutMs: limits.authHttpTimeoutMs,
        bytesMax: ANSWER_BYTES_MAX,
        authoritiesSetting: 'BREAKWATER_AUTH_HTTP_CA',
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

  #owned<Resource extends Disposable>(resource: Resource): Resource {
    this.#resources.push(resource)
    return resource
  }
}
