/** What happens to logins that are checked; one function per event, like events.ts, and part of it. */
import type { LoginDrop } from '../auth/login-queue.ts'
import type { BrokerInstruments } from './instruments.ts'
import type { NodeLog } from '../log/node-log.ts'

/** Which way of logging in has checks that wait. */
export type QueuedWay = 'password' | 'http'

export class LoginEvents {
  readonly #log: NodeLog
  readonly #instruments: BrokerInstruments

  constructor(log: NodeLog, instruments: BrokerInstruments) {
    this.#log = log
    this.#instruments = instruments
  }

  checkBegun(kind: QueuedWay, waitedMs: number): void {
    this.#instruments
      .histogram('login_wait_seconds')
      .cell({ kind })
      .observe(waitedMs / 1_000)
  }

  dropped(kind: QueuedWay, reason: LoginDrop, logins: number): void {
    this.#instruments.counter('logins_dropped_total').cell({ kind, reason }).add(logins)
  }

  drawn(kind: QueuedWay, won: number): void {
    this.#instruments.counter('login_lots_won_total').cell({ kind }).add(won)
  }

  /** Undefined: there are none yet. */
  keysAge(ageMs: () => number | undefined): void {
    this.#instruments.onScrape(() => {
      const age = ageMs()
      if (age !== undefined)
        this.#instruments
          .gauge('jwt_keys_age_seconds')
          .cell()
          .set(age / 1_000)
    })
  }

  keysFetched(keys: number): void {
    this.#instruments.counter('jwt_keys_fetches_total').cell({ result: 'ok' }).add(1)
    if (this.#keysFault === undefined) return
    this.#keysFault = undefined
    this.#log.say('token-keys', 'info', { keys }, 'token keys fetched again')
  }

  /** It repeats, so it is logged when its cause changes. */
  keysUnavailable(why: string): void {
    this.#instruments.counter('jwt_keys_fetches_total').cell({ result: 'error' }).add(1)
    if (why === this.#keysFault) return
    this.#keysFault = why
    this.#log.say(
      'token-keys',
      'error',
      { why },
      'token keys cannot be fetched; the known ones stay in use for jwtKeysAgeMaxMs',
    )
  }
  #keysFault: string | undefined

  waiting(
    kind: QueuedWay,
    queue: { readonly waiting: number; readonly waitingBytes: number },
  ): void {
    this.#instruments.onScrape(() => {
      this.#instruments.gauge('logins_waiting').cell({ kind }).set(queue.waiting)
      this.#instruments.gauge('logins_waiting_bytes').cell({ kind }).set(queue.waitingBytes)
    })
  }
}
