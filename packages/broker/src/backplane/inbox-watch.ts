/**
 * How far this node is behind in reading its inbox, asked once a period and not at each scrape: what Prometheus
 * reads is at most a period old. One question at a time; without an answer the gauges keep what they said.
 */
import type { Bus } from '@breakwater/bus'
import type { Gauge } from '@breakwater/metrics'
import type { BrokerInstruments } from '../observe/instruments.ts'

const PERIOD_MS = 1_000

export class InboxWatch implements Disposable {
  readonly #bus: Bus
  readonly #bytes: Gauge
  readonly #seconds: Gauge
  readonly #timer: NodeJS.Timeout
  #asking = false

  constructor(bus: Bus, instruments: BrokerInstruments) {
    this.#bus = bus
    this.#bytes = instruments.gauge('bus_inbox_lag_bytes').cell()
    this.#seconds = instruments.gauge('bus_inbox_lag_seconds').cell()
    this.#timer = setInterval(() => void this.#ask(), PERIOD_MS)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    // That Redis does not answer is said by its own gauge.
    const lag = await this.#bus.lag().catch(() => undefined)
    if (lag !== undefined) {
      this.#bytes.set(lag.bytes)
      this.#seconds.set(lag.seconds)
    }
    this.#asking = false
  }
}
