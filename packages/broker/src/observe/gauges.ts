/** Gauges that are read when somebody asks, not kept. */
import type { Store } from '@breakwater/store'
import type { Admission } from '../admit/admission.ts'
import type { Connection } from '../connection/connection.ts'
import type { Events } from './events.ts'
import type { BrokerInstruments } from './instruments.ts'
import type { Router } from '../route/router.ts'

export class Gauges {
  readonly #instruments: BrokerInstruments
  readonly #parts: {
    readonly connections: ReadonlySet<Connection>
    readonly admission: Admission
    readonly router: Router
    readonly store: Store
    readonly events: Events
  }
  /** The store answers later: whoever reads is shown what it said to the one before. */
  #stored = { sessions: 0, retainedBytes: 0 }

  constructor(
    instruments: BrokerInstruments,
    parts: {
      readonly connections: ReadonlySet<Connection>
      readonly admission: Admission
      readonly router: Router
      readonly store: Store
      readonly events: Events
    },
  ) {
    this.#instruments = instruments
    this.#parts = parts
  }

  register(): void {
    this.#instruments.onScrape(() => this.collect())
    this.#refreshStored()
  }

  #refreshStored(): void {
    const { store, events } = this.#parts
    if (!store.available) return
    store.counts().then(
      (counts) => {
        this.#stored = counts
      },
      (error: Error) => events.storeFailed('counts', error),
    )
  }

  /** Reads them now. */
  collect(): void {
    const { connections, admission, router } = this.#parts
    this.#refreshStored()
    const gauge = this.#instruments.gauge.bind(this.#instruments)
    let outboundBytes = 0
    let slow = 0
    for (const { writer } of connections) {
      outboundBytes += writer.queuedBytes
      if (writer.full) slow += 1
    }
    let inflight = 0
    let waiting = 0
    let persistent = 0
    for (const session of router.sessions.values()) {
      inflight += session.outbound.inflight + (session.shared?.inflight ?? 0)
      waiting += session.outbound.waiting
      if (session.persistent) persistent += 1
    }
    gauge('connections_max').cell().set(admission.connectionsMax)
    gauge('admission_held').cell().set(admission.held)
    gauge('admission_handshakes').cell().set(admission.handshakes)
    gauge('admission_unanswered').cell().set(admission.unanswered)
    gauge('admission_loop_delay_seconds')
      .cell()
      .set(admission.loopDelayMs / 1_000)
    gauge('outbound_buffer_bytes').cell().set(outboundBytes)
    gauge('slow_consumers').cell().set(slow)
    gauge('inflight_messages').cell().set(inflight)
    gauge('queued_messages').cell().set(waiting)
    gauge('sessions').cell({ state: 'online' }).set(router.sessions.size)
    gauge('sessions')
      .cell({ state: 'offline' })
      .set(Math.max(0, this.#stored.sessions - persistent))
    gauge('subscriptions').cell({ kind: 'exact' }).set(router.live.exactFilters)
    gauge('subscriptions').cell({ kind: 'wildcard' }).set(router.live.wildcardFilters)
    gauge('retained_messages').cell().set(router.retained.size)
    gauge('retained_bytes').cell().set(this.#stored.retainedBytes)
  }
}
