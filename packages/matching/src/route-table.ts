import { hasWildcard, isReservedTopic } from '@breakwater/mqtt'
import { EXACT_SHAPE, filterShape, filterShapeId } from './filter-shape.ts'
import { HASHED_LEVELS_MAX, LevelHash } from './level-hash.ts'
import { EMPTY_SET, NodeSets } from './node-sets.ts'
import { RouteShape } from './route-shape.ts'

/**
 * The route table: which other nodes want a message of this topic?
 *
 * In: the filters of other nodes. Out: per topic the ids of the nodes with a filter that matches. It
 * may name a node that does not want the message, it never leaves one out that does.
 *
 * Filters are not kept. A filter is 64 bits, two hashes under independent secret keys, in the table
 * of its shape, beside the number of the set of nodes that have it: 12 bytes per slot, two to four
 * slots per filter, however long it is. A match hashes the topic once and probes the exact filters
 * and each shape that its number of levels allows; only where the first half of the key is present
 * does it need the second. That two of a million filters share all 64 bits, so that removing one
 * would remove the other, has a probability of less than 1 in 30 million.
 *
 * Bounds: shapes, cached topics. Filters of further shapes and those of more levels than are hashed
 * are kept as text, and their node gets every message while it has any.
 */

export interface RouteTableOptions {
  /** Distinct wildcard shapes that get a table. */
  readonly shapesMax?: number
  /** Topics whose nodes are kept until the next change; 0 keeps none. */
  readonly cachedTopicsMax?: number
}

const DEFAULTS: Required<RouteTableOptions> = { shapesMax: 64, cachedTopicsMax: 4_096 }
const CACHED_TOPIC_LENGTH_MAX = 1_024
const NO_NODES: readonly string[] = Object.freeze([])

export class RouteTable {
  readonly #shapesMax: number
  readonly #cachedTopicsMax: number
  readonly #cache = new Map<string, readonly string[]>()
  readonly #sets = new NodeSets()
  readonly #hash = new LevelHash()
  readonly #secondHash = new LevelHash()
  readonly #exact = new RouteShape(EXACT_SHAPE)
  readonly #shapes = new Map<number, RouteShape>()
  /** The shapes that can match a topic of so many levels. */
  readonly #shapesByLevels: readonly RouteShape[][]
  /** By node, its filters that no table took. */
  readonly #overflow = new Map<string, Set<string>>()
  /** The different sets that the last match found. */
  readonly #hits: number[] = []
  #size = 0

  constructor(options: RouteTableOptions = {}) {
    const { shapesMax, cachedTopicsMax } = { ...DEFAULTS, ...options }
    this.#shapesMax = shapesMax
    this.#cachedTopicsMax = cachedTopicsMax
    this.#shapesByLevels = Array.from({ length: HASHED_LEVELS_MAX + 2 }, () => [])
  }

  /** Pairs of filter and node. */
  get size(): number {
    return this.#size
  }

  add(nodeId: string, filter: string): void {
    // It stays where it was put, though its shape may have got a table since.
    if (this.#overflow.get(nodeId)?.has(filter) === true) return
    const shape = this.#shapeOf(filter) ?? this.#openShape(filter)
    if (shape === undefined) this.#addOverflow(nodeId, filter)
    else if (!this.#addHashed(shape, nodeId, filter)) return
    this.#size++
    this.#cache.clear()
  }

  delete(nodeId: string, filter: string): void {
    if (!this.#deleteOverflow(nodeId, filter) && !this.#deleteHashed(nodeId, filter)) return
    this.#size--
    this.#cache.clear()
  }

  /** A node is gone: sweeps all tables, about 40 ms per million filters. */
  clear(nodeId: string): void {
    this.#size -= this.#overflow.get(nodeId)?.size ?? 0
    this.#overflow.delete(nodeId)
    if (this.#sets.knows(nodeId)) {
      this.#size -= this.#exact.clear(nodeId, this.#sets)
      for (const shape of this.#shapes.values()) {
        this.#size -= shape.clear(nodeId, this.#sets)
        if (shape.size === 0) this.#closeShape(shape)
      }
    }
    this.#cache.clear()
  }

  /** Nodes with a filter that matches the topic, each once; the array is shared. */
  match(topic: string): readonly string[] {
    if (this.#size === 0) return NO_NODES
    if (this.#cachedTopicsMax === 0 || topic.length > CACHED_TOPIC_LENGTH_MAX) {
      return this.#find(topic)
    }
    const cached = this.#cache.get(topic)
    if (cached !== undefined) return cached
    const nodes = this.#find(topic)
    if (this.#cache.size >= this.#cachedTopicsMax) this.#cache.clear()
    this.#cache.set(topic, nodes)
    return nodes
  }

  #find(topic: string): readonly string[] {
    const hits = this.#hits
    hits.length = 0
    const levels = this.#hash.update(topic)
    const reserved = isReservedTopic(topic)
    // Exact filters of more levels than are hashed are not in the table.
    if (levels <= HASHED_LEVELS_MAX) this.#probe(this.#exact, topic)
    const shapes = this.#shapesByLevels[levels]!
    for (let index = 0; index < shapes.length; index++) {
      const shape = shapes[index]!
      if (reserved && shape.shape.leadingWildcard) continue // [MQTT-4.7.2-1]
      this.#probe(shape, topic)
    }
    if (this.#overflow.size === 0) {
      if (hits.length === 0) return NO_NODES
      if (hits.length === 1) return this.#sets.nodesOf(hits[0]!)
    }
    const nodes = new Set(this.#overflow.keys())
    for (const hit of hits) {
      for (const nodeId of this.#sets.nodesOf(hit)) nodes.add(nodeId)
    }
    return [...nodes]
  }

  #probe(shape: RouteShape, topic: string): void {
    const key = shape.key(this.#hash)
    if (!shape.mayHave(key)) return
    this.#secondHash.update(topic)
    const slot = shape.find(key, shape.key(this.#secondHash))
    if (slot === -1) return
    const set = shape.setAt(slot)
    if (!this.#hits.includes(set)) this.#hits.push(set)
  }

  #addHashed(shape: RouteShape, nodeId: string, filter: string): boolean {
    this.#hash.update(filter)
    this.#secondHash.update(filter)
    const key = shape.key(this.#hash)
    const secondKey = shape.key(this.#secondHash)
    const slot = shape.find(key, secondKey)
    if (slot === -1) {
      shape.add(key, secondKey, this.#sets.add(EMPTY_SET, nodeId))
      return true
    }
    const set = shape.setAt(slot)
    if (this.#sets.has(set, nodeId)) return false
    shape.replaceAt(slot, this.#sets.add(set, nodeId))
    return true
  }

  #deleteHashed(nodeId: string, filter: string): boolean {
    const shape = this.#shapeOf(filter)
    if (shape === undefined) return false
    this.#hash.update(filter)
    this.#secondHash.update(filter)
    const slot = shape.find(shape.key(this.#hash), shape.key(this.#secondHash))
    if (slot === -1 || !this.#sets.has(shape.setAt(slot), nodeId)) return false
    const set = this.#sets.delete(shape.setAt(slot), nodeId)
    if (set === EMPTY_SET) shape.removeAt(slot)
    else shape.replaceAt(slot, set)
    if (shape.size === 0 && shape !== this.#exact) this.#closeShape(shape)
    return true
  }

  #addOverflow(nodeId: string, filter: string): void {
    const filters = this.#overflow.get(nodeId)
    if (filters === undefined) this.#overflow.set(nodeId, new Set([filter]))
    else filters.add(filter)
  }

  #deleteOverflow(nodeId: string, filter: string): boolean {
    const filters = this.#overflow.get(nodeId)
    if (filters === undefined || !filters.delete(filter)) return false
    if (filters.size === 0) this.#overflow.delete(nodeId)
    return true
  }

  #shapeOf(filter: string): RouteShape | undefined {
    if (hasWildcard(filter)) return this.#shapes.get(filterShapeId(filter))
    // The number of levels is what the shape's number is made of, and -1 says that they are too many.
    return filterShapeId(filter) === -1 ? undefined : this.#exact
  }

  #openShape(filter: string): RouteShape | undefined {
    const shapeId = filterShapeId(filter)
    if (shapeId === -1 || this.#shapes.size >= this.#shapesMax) return undefined
    const shape = new RouteShape(filterShape(shapeId))
    this.#shapes.set(shapeId, shape)
    const { levels, multiLevel } = shape.shape
    for (let count = levels; count <= (multiLevel ? HASHED_LEVELS_MAX + 1 : levels); count++) {
      this.#shapesByLevels[count]!.push(shape)
    }
    return shape
  }

  #closeShape(shape: RouteShape): void {
    this.#shapes.delete(shape.shape.id)
    for (const shapes of this.#shapesByLevels) {
      const index = shapes.indexOf(shape)
      if (index !== -1) shapes.splice(index, 1)
    }
  }
}
