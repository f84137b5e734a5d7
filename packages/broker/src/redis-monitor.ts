/**
 * Watches Redis: fit to be used at the start, round trip and availability from then on; of a cluster all
 * masters, and each server that becomes one.
 */
import type { Cell, HistogramCell } from '@breakwater/metrics'
import {
  openPlace,
  pingSeconds,
  readFacts,
  unfitReason,
  type Redis,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import type { Events } from './events.ts'
import type { BrokerInstruments } from './instruments.ts'

const PERIOD_MS = 2_000

export class RedisMonitor implements AsyncDisposable {
  readonly #servers: Servers
  readonly #connections: AsyncDisposable
  readonly #events: Events
  readonly #up: Cell
  readonly #roundTrip: HistogramCell
  readonly #timer: NodeJS.Timeout
  #asking = false

  private constructor(
    servers: Servers,
    connections: AsyncDisposable,
    instruments: BrokerInstruments,
    events: Events,
  ) {
    this.#servers = servers
    this.#connections = connections
    this.#events = events
    this.#up = instruments.gauge('redis_up').cell()
    this.#roundTrip = instruments.histogram('redis_round_trip_seconds').cell()
    this.#up.value = 1
    servers.onFault((error) => this.#fault(error))
    if (servers.clustered) servers.onReady((redis) => void this.#examine(redis))
    this.#timer = setInterval(() => void this.#ask(), PERIOD_MS)
    this.#timer.unref()
  }

  /** @throws {Error} Redis cannot be reached, or must not be used as it is configured */
  static async start(
    settings: RedisSettings,
    instruments: BrokerInstruments,
    events: Events,
  ): Promise<RedisMonitor> {
    // Left open it would come back for ever, and keep a process alive that has given up.
    await using stack = new AsyncDisposableStack()
    const place = stack.use(await openPlace(settings))
    const servers = stack.use(await place.servers('data'))
    for (const redis of servers.all) await examine(redis, servers)
    return new RedisMonitor(servers, stack.move(), instruments, events)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#connections[Symbol.asyncDispose]()
  }

  #fault(error: Error): void {
    this.#up.value = 0
    this.#events.redisFault(error)
  }

  /** One that serves already cannot be refused any more. */
  async #examine(redis: Redis): Promise<void> {
    try {
      await examine(redis, this.#servers)
    } catch (error) {
      this.#events.redisFault(error as Error)
    }
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      const { all } = this.#servers
      for (const seconds of await Promise.all(all.map((redis) => pingSeconds(redis))))
        this.#roundTrip.observe(seconds)
      if (!this.#servers.ready) throw new Error('some slots of the cluster have no master')
      this.#up.value = 1
      this.#events.redisRecovered()
    } catch (error) {
      this.#fault(error as Error)
    }
    this.#asking = false
  }
}

/** @throws {Error} one line: it must not be used, or does not answer */
async function examine(redis: Redis, { clustered }: Servers): Promise<void> {
  const why = unfitReason(await readFacts(redis), clustered)
  if (why !== undefined) throw new Error(why)
}
