import type { FilterShape } from './filter-shape.ts'
import { keyOf, type LevelHash } from './level-hash.ts'
import { EMPTY_SET, type NodeSets } from './node-sets.ts'

const SLOTS_MIN = 16
/** Numbers per slot: both halves of the key and the set, of which 0 marks an empty slot. */
const SLOT = 3

/**
 * The filters of one shape, from 64-bit keys to sets of nodes, in one open-addressed array. It
 * doubles when half full and halves when an eighth full, and a delete closes the gap it leaves.
 */
export class RouteShape {
  readonly shape: FilterShape
  size = 0
  readonly #literals: Uint8Array
  #slots = new Int32Array(SLOTS_MIN * SLOT)
  #mask = SLOTS_MIN - 1

  constructor(shape: FilterShape) {
    this.shape = shape
    this.#literals = Uint8Array.from(shape.literals)
  }

  /** Half a key: what this shape looks at in the text that was hashed last. */
  key(hash: LevelHash): number {
    return keyOf(hash, this.#literals)
  }

  mayHave(key: number): boolean {
    const slots = this.#slots
    for (let slot = key & this.#mask; slots[slot * SLOT + 2] !== EMPTY_SET;) {
      if (slots[slot * SLOT] === key) return true
      slot = (slot + 1) & this.#mask
    }
    return false
  }

  /** The slot of this key, or -1. */
  find(key: number, secondKey: number): number {
    const slots = this.#slots
    for (let slot = key & this.#mask; slots[slot * SLOT + 2] !== EMPTY_SET;) {
      if (slots[slot * SLOT] === key && slots[slot * SLOT + 1] === secondKey) return slot
      slot = (slot + 1) & this.#mask
    }
    return -1
  }

  setAt(slot: number): number {
    return this.#slots[slot * SLOT + 2]!
  }

  replaceAt(slot: number, set: number): void {
    this.#slots[slot * SLOT + 2] = set
  }

  /** Adds a key that is not here yet. */
  add(key: number, secondKey: number, set: number): void {
    if ((this.size + 1) * 2 > this.#mask + 1) this.#resize((this.#mask + 1) * 2)
    this.#place(key, secondKey, set)
    this.size++
  }

  removeAt(slot: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = slot
    // Every slot behind the hole whose content may lie nearer to its home moves up.
    for (let at = (hole + 1) & mask; slots[at * SLOT + 2] !== EMPTY_SET; at = (at + 1) & mask) {
      if (((at - slots[at * SLOT]!) & mask) < ((at - hole) & mask)) continue
      slots.copyWithin(hole * SLOT, at * SLOT, at * SLOT + SLOT)
      hole = at
    }
    slots.fill(0, hole * SLOT, hole * SLOT + SLOT)
    this.size--
    if (mask >= SLOTS_MIN && this.size * 8 < mask) this.#resize((mask + 1) / 2)
  }

  /** Takes the node out of all sets; returns how many had it. */
  clear(nodeId: string, sets: NodeSets): number {
    const slots = this.#slots
    let cleared = 0
    let emptied = 0
    for (let at = 2; at < slots.length; at += SLOT) {
      const set = slots[at]!
      if (set === EMPTY_SET || !sets.has(set, nodeId)) continue
      slots[at] = sets.delete(set, nodeId)
      cleared++
      if (slots[at] === EMPTY_SET) emptied++
    }
    if (emptied === 0) return cleared
    this.size -= emptied
    let slotCount = SLOTS_MIN
    while (slotCount < this.size * 2) slotCount *= 2
    // All gaps at once: in a new array, also where its size stays.
    this.#resize(slotCount)
    return cleared
  }

  #place(key: number, secondKey: number, set: number): void {
    const slots = this.#slots
    let slot = key & this.#mask
    while (slots[slot * SLOT + 2] !== EMPTY_SET) slot = (slot + 1) & this.#mask
    slots[slot * SLOT] = key
    slots[slot * SLOT + 1] = secondKey
    slots[slot * SLOT + 2] = set
  }

  #resize(slotCount: number): void {
    const before = this.#slots
    this.#slots = new Int32Array(slotCount * SLOT)
    this.#mask = slotCount - 1
    for (let at = 0; at < before.length; at += SLOT) {
      if (before[at + 2] !== EMPTY_SET) this.#place(before[at]!, before[at + 1]!, before[at + 2]!)
    }
  }
}
