/** Filters of stored sessions in Redis: per bucket one hash, per session one field. */
import type { QoS } from '@breakwater/bus'
import { bucketOf, BUCKETS, type Keys, type Servers } from '@breakwater/redis'
import { byBucket, pipelined } from './buckets.ts'
import { ADD_FILTERS, evaluate, REMOVE_FILTERS } from './scripts.ts'
import type { Owner, SessionFilters, StoredSubscription } from './store.ts'

/** Read in one go: a few thousand sessions where there are 50,000. */
const BUCKETS_PER_CHUNK = 64

export class RedisFilters {
  readonly #control: Servers
  readonly #keys: Keys

  constructor({ control, keys }: { control: Servers; keys: Keys }) {
    this.#control = control
    this.#keys = keys
  }

  /** What the script answered. */
  async add(
    { clientId, epoch }: Owner,
    subscriptions: readonly StoredSubscription[],
  ): Promise<number> {
    if (subscriptions.length === 0) return 1
    const words = subscriptions.flatMap(({ filter, qos }) => [filter, qos])
    const args = [epoch, clientId, ...words]
    return Number(await evaluate(this.#control, ADD_FILTERS, this.#keysOf(clientId), args))
  }

  /** What the script answered. */
  async remove({ clientId, epoch }: Owner, filters: readonly string[]): Promise<number> {
    if (filters.length === 0) return 1
    const args = [epoch, clientId, ...filters]
    return Number(await evaluate(this.#control, REMOVE_FILTERS, this.#keysOf(clientId), args))
  }

  async of(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    const buckets = [...byBucket(clientIds)]
    const answers = await pipelined(
      this.#control,
      buckets.map(([bucket, ids]) => ['hmget', this.#keys.filters(bucket), ...ids]),
    )
    const found = new Map<string, readonly StoredSubscription[]>()
    for (const [index, [, ids]] of buckets.entries())
      for (const [place, clientId] of ids.entries())
        found.set(clientId, subscriptionsIn((answers[index] as (Buffer | null)[])[place]))
    return clientIds.map((clientId) => ({
      clientId,
      subscriptions: found.get(clientId) ?? [],
    }))
  }

  async *all(): AsyncIterable<readonly SessionFilters[]> {
    for (let first = 0; first < BUCKETS; first += BUCKETS_PER_CHUNK) {
      const answers = await pipelined(
        this.#control,
        Array.from({ length: BUCKETS_PER_CHUNK }, (_, index) => [
          'hgetall',
          this.#keys.filters(first + index),
        ]),
      )
      const chunk: SessionFilters[] = []
      for (const sessions of answers as Record<string, Buffer>[])
        for (const [clientId, json] of Object.entries(sessions))
          chunk.push({ clientId, subscriptions: subscriptionsIn(json) })
      if (chunk.length > 0) yield chunk
    }
  }

  #keysOf(clientId: string): readonly string[] {
    return [this.#keys.session(clientId), this.#keys.filters(bucketOf(clientId))]
  }
}

/** Of the JSON that the scripts write. */
export function subscriptionsIn(json: Buffer | null | undefined): readonly StoredSubscription[] {
  if (json === null || json === undefined) return []
  const pairs = JSON.parse(json.toString()) as readonly (readonly [string, QoS])[]
  return pairs.map(([filter, qos]) => ({ filter, qos }))
}
