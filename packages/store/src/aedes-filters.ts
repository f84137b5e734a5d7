/**
 * Filters of stored sessions, where aedes-persistence-redis keeps them: `clients`, `client:<id>`. It reads
 * them; they are written in its older form, in which only the QoS is kept beside the filter. What of it is
 * not used, and the test of the store (compliance.ts, test/store/redis-store.test.ts) that shows why:
 *
 * | its method | defect | test |
 * |---|---|---|
 * | `addSubscriptions` | leaves keys of a session that has ended | `late writers leave no key` |
 * | | loses a filter named `__proto__` | `may have any name` |
 * | `removeSubscriptions` | takes three steps: a SUBSCRIBE between them is not in `clients` | `keep a session that loses its last filter beside getting another` |
 * | `setup` | loads every session, one by one, into an index that nobody asks | |
 */
import { createRequire } from 'node:module'
import type { QoS } from '@breakwater/bus'
import type { Keys, Redis } from '@breakwater/redis'
import { ADD_FILTERS, evaluate, REMOVE_FILTERS } from './scripts.ts'
import type { SessionFilters, StoredSubscription } from './store.ts'

/** The part of the package's untyped class that is used. */
interface AedesPersistence {
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: QoS }[]>
}

const AsyncPersistence = createRequire(import.meta.url)(
  'aedes-persistence-redis/asyncPersistence.js',
) as new (options: { conn: Redis }) => AedesPersistence

const CHUNK = 500

export interface AedesFiltersParts {
  readonly control: Redis
  /** Puts the prefix before the keys that the package names. */
  readonly prefixed: Redis
  readonly keys: Keys
}

export class AedesFilters {
  readonly #persistence: AedesPersistence
  readonly #control: Redis
  readonly #keys: Keys

  constructor({ control, prefixed, keys }: AedesFiltersParts) {
    this.#control = control
    this.#keys = keys
    this.#persistence = new AsyncPersistence({ conn: prefixed })
  }

  async add(clientId: string, subscriptions: readonly StoredSubscription[]): Promise<void> {
    if (subscriptions.length === 0) return
    await evaluate(
      this.#control,
      ADD_FILTERS,
      [this.#keys.session(clientId), this.#keys.filters(clientId), this.#keys.clients],
      [clientId, ...subscriptions.flatMap(({ filter, qos }) => [filter, qos])],
    )
  }

  async remove(clientId: string, filters: readonly string[]): Promise<void> {
    if (filters.length === 0) return
    await evaluate(
      this.#control,
      REMOVE_FILTERS,
      [this.#keys.filters(clientId), this.#keys.clients],
      [clientId, ...filters],
    )
  }

  async of(clientId: string): Promise<readonly StoredSubscription[]> {
    const found = await this.#persistence.subscriptionsByClient({ id: clientId })
    return found.map(({ topic, qos }) => ({ filter: topic, qos }))
  }

  async *all(): AsyncIterable<readonly SessionFilters[]> {
    let cursor = '0'
    do {
      const [next, clientIds] = await this.#control.sscan(
        this.#keys.clients,
        cursor,
        'COUNT',
        CHUNK,
      )
      cursor = next
      if (clientIds.length === 0) continue
      yield await Promise.all(
        clientIds.map(async (clientId) => ({ clientId, subscriptions: await this.of(clientId) })),
      )
    } while (cursor !== '0')
  }
}
