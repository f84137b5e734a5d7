import { hasWildcard, type QoS } from '@breakwater/mqtt'
import { FilterIndex } from './filter-index.ts'
import type { FilterPlace } from './filter-index.ts'
import type { FilterTargets } from './filter-targets.ts'
import { TopicCache, type Cacheable } from './topic-cache.ts'

/**
 * From topics to the targets of the filters that match: what the forwarding table and the table of stored
 * sessions have in common. How targets are kept is up to the `FilterTargets` that it is given.
 *
 * In: valid filters with their targets. Out: per topic, every matching target once, with its highest QoS.
 *
 * Cost: a match does not depend on the number of filters that do not match. A topic that was
 * published a moment ago is one Map lookup. Any other costs one pass over its text for the level
 * hashes, one probe among the exact filters, and one per shape that its number of levels allows.
 * Set and delete depend on the length of the filter, not on the number of filters or targets.
 *
 * Bounds: shapes (more go to a trie, `FilterIndex`), cached topics and their targets (`TopicCache`).
 * The number of filters is not bounded here: the control plane bounds the filters of a client.
 * On overload nothing is refused; a match that has to go to the trie costs more.
 *
 * Order: targets of the exact filter, of the shapes as they were made, of the fallback.
 */

export interface FilterTableLimits {
  /** Distinct wildcard shapes that get a hash index. */
  readonly shapesMax?: number
  /** Topics whose result is kept; 0 keeps none. */
  readonly cachedTopicsMax?: number
  /** Targets in all kept results together. */
  readonly cachedTargetsMax?: number
}

const DEFAULTS: Required<FilterTableLimits> = {
  shapesMax: 64,
  cachedTopicsMax: 10_000,
  cachedTargetsMax: 1_000_000,
}

export class FilterTable<T, M extends Cacheable> {
  readonly #pool: FilterTargets<T, M>
  readonly #index: FilterIndex
  readonly #cache: TopicCache<M> | undefined
  #size = 0
  #wildcardFilters = 0
  #epoch = 0

  constructor(pool: FilterTargets<T, M>, limits: FilterTableLimits = {}) {
    const { shapesMax, cachedTopicsMax, cachedTargetsMax } = {
      ...DEFAULTS,
      ...limits,
    }
    this.#pool = pool
    this.#index = new FilterIndex(pool, shapesMax)
    if (cachedTopicsMax > 0) this.#cache = new TopicCache(cachedTopicsMax, cachedTargetsMax)
  }

  /** Pairs of filter and target. */
  get size(): number {
    return this.#size
  }

  /** Distinct filters. */
  get filters(): number {
    return this.#pool.size
  }

  get exactFilters(): number {
    return this.#pool.size - this.#wildcardFilters
  }

  get wildcardFilters(): number {
    return this.#wildcardFilters
  }

  /** Filters that no hash index took. */
  get fallbackFilters(): number {
    return this.#index.fallbackFilters
  }

  get shapes(): number {
    return this.#index.shapes
  }

  /** Grows with each change. */
  get epoch(): number {
    return this.#epoch
  }

  /** Whether any target has this filter. */
  has(filter: string): boolean {
    return this.#index.locate(filter).id !== -1
  }

  /** True if the target did not have this filter yet, false if at most its QoS was replaced. */
  set(filter: string, target: T, qos: QoS): boolean {
    let place = this.#index.locate(filter)
    if (place.id === -1) place = this.#open(filter)
    const before = this.#pool.set(place.id, target, qos)
    if (before !== qos) this.#changed(place)
    if (before !== undefined) return false
    this.#size++
    return true
  }

  /** True if the target had this filter. */
  delete(filter: string, target: T): boolean {
    const place = this.#index.locate(filter)
    if (place.id === -1 || !this.#pool.delete(place.id, target)) return false
    if (!this.#pool.hasTargets(place.id)) this.#close(filter, place)
    this.#changed(place)
    this.#size--
    return true
  }

  /** Who gets a message of this topic; the answer holds until the next set or delete. */
  match(topic: string): M {
    const cache = this.#cache
    if (cache === undefined) return this.#find(topic)
    const cached = cache.get(topic)
    if (cached !== undefined) return cached
    const matches = this.#find(topic)
    cache.set(topic, matches, this.#index.keys, this.#index.keyCount)
    return matches
  }

  #find(topic: string): M {
    const index = this.#index
    index.match(topic)
    return this.#pool.join(index.hits, index.hitCount)
  }

  #open(filter: string): FilterPlace {
    const shapesBefore = this.#index.shapes
    const place = this.#index.add(filter, this.#pool.open(filter))
    if (hasWildcard(filter)) this.#wildcardFilters++
    // No result that is cached now has probed the new shape.
    if (this.#index.shapes !== shapesBefore) this.#cache?.clear()
    return place
  }

  #close(filter: string, place: FilterPlace): void {
    this.#index.remove(filter, place)
    this.#pool.close(place.id)
    if (hasWildcard(filter)) this.#wildcardFilters--
  }

  #changed(place: FilterPlace): void {
    this.#epoch++
    // The fallback has no keys, so that nothing tells which topics a change in it concerns.
    if (place.shape === undefined) this.#cache?.clear()
    else this.#cache?.mark(place.key)
  }
}
