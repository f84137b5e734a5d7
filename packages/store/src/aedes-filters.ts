/**
 * Filters of stored sessions, kept by aedes-persistence-redis (`clients`, `client:<id>`). Its subscription
 * methods are sound when its broadcast is answered at once by a broker that is not there: with a real one
 * each call waits for its own pub/sub echo, without a time-out.
 */
import { createRequire } from 'node:module'
import type { QoS } from '@breakwater/bus'
import type { Redis } from '@breakwater/redis'
import type { SessionFilters, StoredSubscription } from './store.ts'

interface AedesSubscription {
  readonly topic: string
  readonly qos: QoS
}

/** The part of the package's untyped class that is used. */
interface AedesPersistence {
  setup(broker: unknown): Promise<void>
  addSubscriptions(client: { id: string }, subscriptions: AedesSubscription[]): Promise<void>
  removeSubscriptions(client: { id: string }, filters: string[]): Promise<void>
  subscriptionsByClient(client: { id: string }): Promise<AedesSubscription[]>
  cleanSubscriptions(client: { id: string }): Promise<void>
  destroy(): Promise<void>
}

const AsyncPersistence = createRequire(import.meta.url)(
  'aedes-persistence-redis/asyncPersistence.js',
) as new (options: { conn: Redis }) => AedesPersistence

type Listener = (packet: { topic: string; payload: string }, done: () => void) => void

/** Answers the package's broadcast at once: the notice to other nodes is the bus's. */
class Echo {
  readonly id = 'breakwater'
  #listener: Listener | undefined

  subscribe(_pattern: string, listener: Listener, done: () => void): void {
    this.#listener = listener
    done()
  }

  unsubscribe(_pattern: string, _listener: Listener, done: () => void): void {
    this.#listener = undefined
    done()
  }

  publish(packet: { topic: string; payload: string }, done: () => void): void {
    this.#listener?.(packet, () => undefined)
    done()
  }
}

const CHUNK = 500

export class AedesFilters {
  readonly #persistence: AedesPersistence
  readonly #redis: Redis

  constructor(redis: Redis) {
    this.#redis = redis
    this.#persistence = new AsyncPersistence({ conn: redis })
  }

  async setup(): Promise<void> {
    await this.#persistence.setup(new Echo())
  }

  async add(clientId: string, subscriptions: readonly StoredSubscription[]): Promise<void> {
    if (subscriptions.length === 0) return
    await this.#persistence.addSubscriptions(
      { id: clientId },
      subscriptions.map(({ filter, qos }) => ({ topic: filter, qos })),
    )
  }

  async remove(clientId: string, filters: readonly string[]): Promise<void> {
    if (filters.length === 0) return
    await this.#persistence.removeSubscriptions({ id: clientId }, [...filters])
  }

  async of(clientId: string): Promise<readonly StoredSubscription[]> {
    const found = await this.#persistence.subscriptionsByClient({ id: clientId })
    return found.map(({ topic, qos }) => ({ filter: topic, qos }))
  }

  async clear(clientId: string): Promise<void> {
    await this.#persistence.cleanSubscriptions({ id: clientId })
  }

  async *all(): AsyncIterable<readonly SessionFilters[]> {
    const clientIds = await this.#redis.smembers('clients')
    for (let start = 0; start < clientIds.length; start += CHUNK) {
      const chunk = clientIds.slice(start, start + CHUNK)
      yield await Promise.all(
        chunk.map(async (clientId) => ({ clientId, subscriptions: await this.of(clientId) })),
      )
    }
  }

  async destroy(): Promise<void> {
    await this.#persistence.destroy()
  }
}
