/** What happens to logins that are checked; one function per event, like events.ts, and part of it. */
import type { LoginDrop } from './auth/login-queue.ts'
import type { BrokerInstruments } from './instruments.ts'

/** Which way of logging in has checks that wait. */
export type QueuedWay = 'password' | 'http'

export class LoginEvents {
  readonly #instruments: BrokerInstruments

  constructor(instruments: BrokerInstruments) {
    this.#instruments = instruments
  }

  checkBegun(kind: QueuedWay, waitedMs: number): void {
    this.#instruments
      .histogram('login_wait_seconds')
      .cell({ kind })
      .observe(waitedMs / 1_000)
  }

  dropped(kind: QueuedWay, reason: LoginDrop, logins: number): void {
    this.#instruments.counter('logins_dropped_total').cell({ kind, reason }).value += logins
  }

  drawn(kind: QueuedWay, won: number): void {
    this.#instruments.counter('login_lots_won_total').cell({ kind }).value += won
  }

  waiting(
    kind: QueuedWay,
    queue: { readonly waiting: number; readonly waitingBytes: number },
  ): void {
    this.#instruments.onScrape(() => {
      this.#instruments.gauge('logins_waiting').cell({ kind }).value = queue.waiting
      this.#instruments.gauge('logins_waiting_bytes').cell({ kind }).value = queue.waitingBytes
    })
  }
}
