/**
 * Watches Redis: whether it answers, and whether its settings are what Breakwater needs; of a cluster all masters,
 * and each server that becomes one. The settings are read at the start, when a connection is made, and every
 * SETTINGS_MS: an operator, or a failover, may change them at any time.
 */
import type { Histogram } from '@breakwater/metrics'
import {
  lacksOf,
  openPlace,
  pingSeconds,
  readFacts,
  REDIS_SETTINGS,
  UnfitRedis,
  unfitReason,
  type Redis,
  type RedisFacts,
  type RedisNeeds,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import type { BrokerInstruments } from '../observe/instruments.ts'
import type { RedisEvents } from '../observe/redis-events.ts'

const PERIOD_MS = 2_000
const SETTINGS_MS = 60_000

export class RedisMonitor implements AsyncDisposable {
  readonly #servers: Servers
  readonly #connections: AsyncDisposable
  readonly #needs: RedisNeeds
  readonly #events: RedisEvents
  readonly #roundTrip: Histogram
  readonly #timer: NodeJS.Timeout
  /** Of each server what it said last. */
  readonly #facts = new WeakMap<Redis, RedisFacts>()
  #settingsAt: number = performance.now()
  #asking = false

  private constructor(
    servers: Servers,
    connections: AsyncDisposable,
    needs: RedisNeeds,
    instruments: BrokerInstruments,
    events: RedisEvents,
  ) {
    this.#servers = servers
    this.#connections = connections
    this.#needs = needs
    this.#events = events
    this.#roundTrip = instruments.histogram('redis_round_trip_seconds').cell()
    servers.onFault((error) => events.silent(error))
    servers.onReady(() => void this.#readSettings())
    this.#timer = setInterval(() => void this.#ask(), PERIOD_MS)
    this.#timer.unref()
  }

  /**
   * @throws {UnfitRedis} it must not be used as it is configured
   * @throws {Error} it cannot be reached
   */
  static async start(
    settings: RedisSettings,
    needs: Omit<RedisNeeds, 'clustered'>,
    instruments: BrokerInstruments,
    events: RedisEvents,
  ): Promise<RedisMonitor> {
    // Left open it would come back for ever, and keep a process alive that has given up.
    await using stack = new AsyncDisposableStack()
    const place = stack.use(await openPlace(settings))
    // One that has become a replica still answers.
    const servers = stack.use(await place.servers('data', { anyRole: true }))
    const { clustered } = servers
    for (const redis of servers.all) {
      const why = unfitReason(await readFacts(redis), clustered)
      if (why !== undefined) throw new UnfitRedis(why)
    }
    const all = { ...needs, clustered }
    const monitor = new RedisMonitor(servers, stack.move(), all, instruments, events)
    events.answered()
    await monitor.#readSettings()
    return monitor
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#connections[Symbol.asyncDispose]()
  }

  /** What is wrong is told: a node that serves already is not ended for it. Never rejects. */
  async #readSettings(): Promise<void> {
    this.#settingsAt = performance.now()
    const { all } = this.#servers
    const found = await Promise.all(all.map((redis) => readFacts(redis).catch(() => undefined)))
    const lacks = found.flatMap((facts, index) => {
      const redis = all[index]
      if (facts === undefined || redis === undefined) return []
      this.#facts.set(redis, facts)
      return [lacksOf(facts, this.#needs)]
    })
    if (lacks.length === 0) return
    for (const setting of REDIS_SETTINGS)
      this.#events.setting(setting, lacks.find((lack) => lack[setting] !== undefined)?.[setting])
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      const { all } = this.#servers
      for (const seconds of await Promise.all(all.map((redis) => pingSeconds(redis))))
        this.#roundTrip.observe(seconds)
      if (!this.#servers.ready) throw new Error('some slots of the cluster have no master')
      this.#events.answered()
      if (performance.now() - this.#settingsAt > SETTINGS_MS) await this.#readSettings()
      // The address may lead to a master by now.
      for (const redis of all)
        if (this.#facts.get(redis)?.isReplica === true) redis.disconnect(true)
    } catch (error) {
      this.#events.silent(error as Error)
      // A write that waits has no answer either, and may have none before its connection is cut.
      this.#events.written(false)
    }
    this.#asking = false
  }
}
