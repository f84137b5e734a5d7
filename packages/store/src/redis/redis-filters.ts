/** Filters of stored sessions in Redis: per session one hash, in which each filter is a field. */
import { isValidTopicFilter, type QoS } from '@breakwater/mqtt'
import { BUCKETS, type Keys, type OnBadValue, type Servers } from '@breakwater/redis'
import { byBucket, pipelined } from './buckets.ts'
import { ADD_FILTERS, evaluate, READ_FILTERS, REMOVE_FILTERS } from '../scripts/scripts.ts'
import type { ChangedFilters, Owner, SessionFilters, StoredSubscription } from '../store.ts'

/** Read in one go: a few thousand sessions where there are 50,000. */
const BUCKETS_PER_CHUNK = 64
/** Sessions of one call of Redis: one for each of them would cost a node most of its start. */
const SESSIONS_PER_CALL = 32

export class RedisFilters {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #onBadValue: OnBadValue

  constructor(parts: { control: Servers; keys: Keys; onBadValue: OnBadValue }) {
    this.#control = parts.control
    this.#keys = parts.keys
    this.#onBadValue = parts.onBadValue
  }

  /** What the script answered. */
  async add(
    { clientId, epoch }: Owner,
    subscriptions: readonly StoredSubscription[],
  ): Promise<number> {
    if (subscriptions.length === 0) return 1
    const words = subscriptions.flatMap(({ filter, qos }) => [filter, qos])
    const args = [epoch, ...words]
    return Number(await evaluate(this.#control, ADD_FILTERS, this.#keysOf(clientId), args))
  }

  /** What the script answered. */
  async remove({ clientId, epoch }: Owner, filters: readonly string[]): Promise<number> {
    if (filters.length === 0) return 1
    const args = [epoch, ...filters]
    return Number(await evaluate(this.#control, REMOVE_FILTERS, this.#keysOf(clientId), args))
  }

  async of(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    const calls: Promise<readonly SessionFilters[]>[] = []
    for (const inBucket of byBucket(clientIds).values())
      for (let first = 0; first < inBucket.length; first += SESSIONS_PER_CALL)
        calls.push(this.#read(inBucket.slice(first, first + SESSIONS_PER_CALL)))
    const found = new Map<string, SessionFilters>()
    for (const answer of await Promise.all(calls))
      for (const session of answer) found.set(session.clientId, session)
    return clientIds.map((clientId) => found.get(clientId) as SessionFilters)
  }

  /** Of these filters those that their sessions have. */
  async among(changed: readonly ChangedFilters[]): Promise<readonly SessionFilters[]> {
    const answers = await pipelined(
      this.#control,
      changed.map(({ clientId, filters }) => ['hmget', this.#keys.filters(clientId), ...filters]),
    )
    return changed.map(({ clientId, filters }, index) => {
      const found = answers[index] as readonly (Buffer | null)[]
      const pairs = filters.flatMap((filter, place) => {
        const qos = found[place]
        return qos ? [[filter, qos] as const] : []
      })
      const key = this.#keys.filters(clientId)
      return { clientId, subscriptions: readableFilters(pairs, key, this.#onBadValue) }
    })
  }

  async *all(): AsyncIterable<readonly SessionFilters[]> {
    for (let first = 0; first < BUCKETS; first += BUCKETS_PER_CHUNK) {
      const found = await pipelined(
        this.#control,
        Array.from({ length: BUCKETS_PER_CHUNK }, (_, index) => [
          'zrange',
          this.#keys.sessions(first + index),
          0,
          -1,
        ]),
      )
      const sessions = await this.of((found as Buffer[][]).flat().map(String))
      const chunk = sessions.filter(({ subscriptions }) => subscriptions.length > 0)
      if (chunk.length > 0) yield chunk
    }
  }

  /** Of sessions in one bucket. */
  async #read(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    const keys = clientIds.map((clientId) => this.#keys.filters(clientId))
    const found = (await evaluate(this.#control, READ_FILTERS, keys, [])) as Buffer[][]
    return clientIds.map((clientId, index) => {
      const words = found[index] as Buffer[]
      const subscriptions = subscriptionsIn(words, keys[index] as string, this.#onBadValue)
      return { clientId, subscriptions }
    })
  }

  #keysOf(clientId: string): readonly string[] {
    return [this.#keys.session(clientId), this.#keys.filters(clientId)]
  }
}

/** Those that can be read; the others are told. `key`: where they lie. */
function readableFilters(
  pairs: readonly (readonly [filter: string, qos: Buffer])[],
  key: string,
  onBadValue: OnBadValue,
): readonly StoredSubscription[] {
  return pairs.flatMap(([filter, text]) => {
    const qos = text.toString()
    if (/^[012]$/.test(qos) && isValidTopicFilter(filter))
      return [{ filter, qos: Number(qos) as QoS }]
    onBadValue({ kind: 'filters', key, why: 'a filter or its QoS is none' })
    return []
  })
}

/** Of what a script answers: filter and QoS in turn. */
export function subscriptionsIn(
  words: readonly Buffer[],
  key: string,
  onBadValue: OnBadValue,
): readonly StoredSubscription[] {
  const pairs: [string, Buffer][] = []
  for (let index = 0; index + 1 < words.length; index += 2)
    pairs.push([String(words[index]), words[index + 1] as Buffer])
  return readableFilters(pairs, key, onBadValue)
}
