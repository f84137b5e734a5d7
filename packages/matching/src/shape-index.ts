import type { FilterNames } from './filter-names.ts'
import { EXACT_SHAPE, type FilterShape } from './filter-shape.ts'
import { keyOf, type LevelHash } from './level-hash.ts'
import { SlotTable } from './slot-table.ts'

/**
 * The hash index of all filters of one shape, from a key that mixes the hashes of the literal levels
 * to the filter's id. The id leads to the filter's text, and only the text decides: two filters, or a
 * filter and a topic, may well have one key. A probe for a topic that matches nothing touches one or
 * two cache lines and no string.
 *
 * With a secret hash key, filters with equal keys do not come in numbers. Should they, `add` refuses
 * those that would lie more than `REACH_MAX` slots from their home, and they go to the fallback.
 */

const REACH_MAX = 64

export class ShapeIndex {
  readonly shape: FilterShape
  readonly #literals: Uint8Array
  /** Filter texts by id, owned by the table. */
  readonly #names: FilterNames
  readonly #ids = new SlotTable()
  /** Its filters match the topic of their own name alone. */
  readonly #exact: boolean

  constructor(shape: FilterShape, names: FilterNames) {
    this.shape = shape
    this.#literals = Uint8Array.from(shape.literals)
    this.#names = names
    this.#exact = shape === EXACT_SHAPE
  }

  get size(): number {
    return this.#ids.size
  }

  /** The key, in this shape, of the text that was hashed last. */
  key(hash: LevelHash): number {
    return keyOf(hash, this.#literals)
  }

  /** The id of the one filter of this shape that matches the topic, or -1. */
  match(topic: string, key: number): number {
    const ids = this.#ids
    const names = this.#names
    for (let slot = ids.first(key); slot !== -1; slot = ids.next(key, slot)) {
      const id = ids.valueAt(slot)
      if (this.#exact ? names.is(id, topic) : names.matches(id, topic)) return id
    }
    return -1
  }

  /** The id of this very filter, or -1. */
  find(filter: string, key: number): number {
    const slot = this.#slotOf(filter, key)
    return slot === -1 ? -1 : this.#ids.valueAt(slot)
  }

  /** Adds a filter that is not in the index yet; false if too many others have its key. */
  add(id: number, key: number): boolean {
    return this.#ids.add(key, id, REACH_MAX)
  }

  /** Removes a filter; false if it is not here. */
  remove(filter: string, key: number): boolean {
    const slot = this.#slotOf(filter, key)
    if (slot === -1) return false
    this.#ids.removeAt(slot)
    return true
  }

  #slotOf(filter: string, key: number): number {
    const ids = this.#ids
    let slot = ids.first(key)
    while (slot !== -1 && !this.#names.is(ids.valueAt(slot), filter)) slot = ids.next(key, slot)
    return slot
  }
}
