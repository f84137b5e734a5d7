/**
 * Abandoned sessions end (`BREAKWATER_SESSION_EXPIRY` after their client was last connected). The node that
 * has a client says so regularly; any node removes what nobody speaks for.
 */
import type { Store } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { Router } from '../route/router.ts'

const PERIOD_MIN_MS = 1_000
const PERIOD_MAX_MS = 3_600_000
/** How often a connected session is spoken for within its expiry. */
const TOUCHES_PER_EXPIRY = 4

export interface SessionExpiryOptions {
  readonly store: Store
  readonly router: Router
  readonly sessions: { expired(clientIds: readonly string[]): Promise<void> }
  readonly events: Events
  readonly expiryMs: number
}

export class SessionExpiry implements Disposable {
  readonly #options: SessionExpiryOptions
  readonly #timer: NodeJS.Timeout

  constructor(options: SessionExpiryOptions) {
    this.#options = options
    const wanted = options.expiryMs / TOUCHES_PER_EXPIRY
    const periodMs = Math.min(PERIOD_MAX_MS, Math.max(PERIOD_MIN_MS, wanted))
    this.#timer = setInterval(() => {
      this.#run().catch((error: Error) => options.events.storeFailed('session expiry', error))
    }, periodMs)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #run(): Promise<void> {
    const { store, router, sessions, events, expiryMs } = this.#options
    const connected = [...router.sessions.values()].filter(({ persistent }) => persistent)
    await store.touchSessions(connected.map(({ clientId }) => clientId))
    const expired = await store.expireSessions(Date.now() - expiryMs)
    if (expired.length === 0) return
    events.sessionsExpired(expired)
    await sessions.expired(expired)
  }
}
