import { hasWildcard, isReservedTopic } from '@breakwater/mqtt'
import type { FilterNames } from './filter-names.ts'
import { EXACT_SHAPE, filterShape, filterShapeId } from './filter-shape.ts'
import { FilterTrie } from './filter-trie.ts'
import { HASHED_LEVELS_MAX, LevelHash } from './level-hash.ts'
import { ShapeIndex } from './shape-index.ts'

/** Where a filter is, or would be looked for. */
export interface FilterPlace {
  /** The filter's id, or -1 if it is not in the index. */
  readonly id: number
  /** The index of its shape; none if it is in the fallback. */
  readonly shape: ShapeIndex | undefined
  /** The filter's key in that index. */
  readonly key: number
}

/**
 * From filters to ids, and from a topic to the ids of the filters that match it.
 *
 * Filters without a wildcard are in one hash index; filters with wildcards are in one per shape, and
 * a topic probes those shapes that its number of levels allows. The number of shapes is bounded, so
 * the number of probes is; what has no place in a hash index goes to a trie. A filter stays where it
 * was put, a shape whose last filter is gone is freed.
 */
export class FilterIndex {
  /** The ids that the last match found: the first `hitCount` of these. */
  readonly hits: number[] = []
  hitCount = 0
  /** The keys that the last match probed: the first `keyCount` of these. */
  readonly keys: number[] = []
  keyCount = 0

  readonly #names: FilterNames
  readonly #shapesMax: number
  readonly #hash: LevelHash
  readonly #exact: ShapeIndex
  readonly #shapes = new Map<number, ShapeIndex>()
  /** The shapes that can match a topic of so many levels, in the order in which they were made. */
  readonly #shapesByLevels: readonly ShapeIndex[][]
  readonly #fallback = new FilterTrie()

  constructor(names: FilterNames, shapesMax: number, hash: LevelHash = new LevelHash()) {
    this.#names = names
    this.#shapesMax = shapesMax
    this.#hash = hash
    this.#exact = new ShapeIndex(EXACT_SHAPE, names)
    this.#shapesByLevels = Array.from({ length: HASHED_LEVELS_MAX + 2 }, () => [])
  }

  /** Shapes of wildcard filters. */
  get shapes(): number {
    return this.#shapes.size
  }

  /** Filters that no hash index took. */
  get fallbackFilters(): number {
    return this.#fallback.size
  }

  locate(filter: string): FilterPlace {
    const shape = hasWildcard(filter) ? this.#shapes.get(filterShapeId(filter)) : this.#exact
    if (shape !== undefined) {
      const key = this.#keyOf(shape, filter)
      const id = shape.find(filter, key)
      if (id !== -1) return { id, shape, key }
    }
    const id = this.#fallback.size === 0 ? -1 : this.#fallback.find(filter)
    return { id, shape: undefined, key: 0 }
  }

  /** Adds a filter that is not in the index; returns where it went. */
  add(filter: string, id: number): FilterPlace {
    const shape = hasWildcard(filter) ? this.#shapeFor(filter) : this.#exact
    if (shape !== undefined) {
      const key = this.#keyOf(shape, filter)
      if (shape.add(id, key)) return { id, shape, key }
    }
    this.#fallback.add(filter, id)
    return { id, shape: undefined, key: 0 }
  }

  /** Removes a filter from where `locate` found it. */
  remove(filter: string, { shape, key }: FilterPlace): void {
    if (shape === undefined) {
      this.#fallback.remove(filter)
    } else {
      shape.remove(filter, key)
      if (shape.size === 0 && shape !== this.#exact) this.#freeShape(shape)
    }
  }

  /** Finds the filters that match a topic: exact, then shape by shape, then in the fallback. */
  match(topic: string): void {
    this.hitCount = 0
    this.keyCount = 0
    const shapes = this.#shapesByLevels[this.#hash.update(topic)]!
    const reserved = isReservedTopic(topic)
    this.#probe(this.#exact, topic)
    for (let index = 0; index < shapes.length; index++) {
      const shape = shapes[index]!
      if (reserved && shape.shape.leadingWildcard) continue // [MQTT-4.7.2-1]
      this.#probe(shape, topic)
    }
    if (this.#fallback.size > 0) {
      for (const id of this.#fallback.match(topic)) this.hits[this.hitCount++] = id
    }
  }

  #probe(shape: ShapeIndex, topic: string): void {
    const key = shape.key(this.#hash)
    this.keys[this.keyCount++] = key
    const id = shape.match(topic, key)
    if (id !== -1) this.hits[this.hitCount++] = id
  }

  #keyOf(shape: ShapeIndex, filter: string): number {
    this.#hash.update(filter)
    return shape.key(this.#hash)
  }

  #shapeFor(filter: string): ShapeIndex | undefined {
    const shapeId = filterShapeId(filter)
    const known = this.#shapes.get(shapeId)
    if (known !== undefined || shapeId === -1 || this.#shapes.size >= this.#shapesMax) return known
    const shape = new ShapeIndex(filterShape(shapeId), this.#names)
    this.#shapes.set(shapeId, shape)
    const { levels, multiLevel } = shape.shape
    for (let count = levels; count <= (multiLevel ? HASHED_LEVELS_MAX + 1 : levels); count++) {
      this.#shapesByLevels[count]!.push(shape)
    }
    return shape
  }

  #freeShape(shape: ShapeIndex): void {
    this.#shapes.delete(shape.shape.id)
    for (const shapes of this.#shapesByLevels) {
      const index = shapes.indexOf(shape)
      if (index !== -1) shapes.splice(index, 1)
    }
  }
}
