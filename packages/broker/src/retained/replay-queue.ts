/**
 * The replays of one session, one after the other, in the order of the SUBACKs. Bound: WAITING_MAX that have not
 * begun; what is subscribed to beyond them joins the last one, each filter once, however often it is subscribed to.
 */
import type { QoS } from '@breakwater/mqtt'
import type { StoredSubscription } from '@breakwater/store'

const WAITING_MAX = 8

interface Replay {
  readonly filters: Map<string, QoS>
  /** Topics whose newer retained message went out live since its filters were programmed. */
  readonly live: Set<string>
}

export interface ReplayQueueOptions {
  /** Never rejects. */
  readonly run: (
    subscriptions: readonly StoredSubscription[],
    live: ReadonlySet<string>,
  ) => Promise<void>
  /** Nobody asks any more what went out live. */
  readonly ended: (live: Set<string>) => void
}

export class ReplayQueue {
  readonly #options: ReplayQueueOptions
  readonly #waiting: Replay[] = []
  #isRunning = false

  constructor(options: ReplayQueueOptions) {
    this.#options = options
  }

  add(subscriptions: readonly StoredSubscription[], live: Set<string>): void {
    const last = this.#waiting.at(-1)
    if (subscriptions.length === 0) this.#options.ended(live)
    else if (last !== undefined && this.#waiting.length >= WAITING_MAX) {
      for (const { filter, qos } of subscriptions) last.filters.set(filter, qos)
      this.#options.ended(live)
    } else {
      const filters = new Map(subscriptions.map(({ filter, qos }) => [filter, qos]))
      this.#waiting.push({ filters, live })
      if (!this.#isRunning) void this.#run()
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { filters, live } = next
      await this.#options.run(
        [...filters].map(([filter, qos]) => ({ filter, qos })),
        live,
      )
      this.#options.ended(live)
    }
    this.#isRunning = false
  }
}
