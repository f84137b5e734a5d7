/** Watches Redis: fit to be used at the start, round trip and availability from then on. */
import type { Cell, HistogramCell } from '@breakwater/metrics'
import {
  connectOrFail,
  createRedis,
  pingSeconds,
  readFacts,
  unfitReason,
  type Redis,
  type RedisSettings,
} from '@breakwater/redis'
import type { BrokerInstruments, Events } from './events.ts'

const PERIOD_MS = 2_000

export class RedisMonitor implements Disposable {
  readonly #redis: Redis
  readonly #events: Events
  readonly #up: Cell
  readonly #roundTrip: HistogramCell
  readonly #timer: NodeJS.Timeout
  #asking = false

  private constructor(redis: Redis, instruments: BrokerInstruments, events: Events) {
    this.#redis = redis
    this.#events = events
    this.#up = instruments.gauge('redis_up').cell()
    this.#roundTrip = instruments.histogram('redis_round_trip_seconds').cell()
    this.#up.value = 1
    redis.on('error', (error: Error) => {
      this.#up.value = 0
      events.redisFault(error)
    })
    this.#timer = setInterval(() => void this.#ask(), PERIOD_MS)
    this.#timer.unref()
  }

  /** @throws {Error} Redis cannot be reached, or must not be used as it is configured */
  static async start(
    settings: RedisSettings,
    instruments: BrokerInstruments,
    events: Events,
  ): Promise<RedisMonitor> {
    const redis = createRedis(settings, 'data')
    await connectOrFail(redis, settings)
    try {
      const why = unfitReason(await readFacts(redis))
      if (why !== undefined) throw new Error(why)
    } catch (error) {
      // Left open it would come back for ever, and keep a process alive that has given up.
      redis.disconnect()
      throw error
    }
    return new RedisMonitor(redis, instruments, events)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#redis.disconnect()
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      this.#roundTrip.observe(await pingSeconds(this.#redis))
      this.#up.value = 1
      this.#events.redisRecovered()
    } catch (error) {
      this.#up.value = 0
      this.#events.redisFault(error as Error)
    }
    this.#asking = false
  }
}
