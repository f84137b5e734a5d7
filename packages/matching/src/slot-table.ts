/**
 * A hash table from integer keys to integers, open-addressed in one Int32Array: what every index of
 * the forwarding table stands on. Keys are expected to be well mixed and need not be unique; who
 * looks one up goes through the slots of equal keys and checks what their values stand for.
 *
 * It is here because a V8 Map keeps a deleted entry in its bucket until the whole Map is rehashed:
 * whoever adds and deletes one key again and again makes each such call walk all the dead entries,
 * 30 µs and more in a Map of 100,000. Here a delete closes the gap and leaves nothing behind.
 *
 * A lookup ends at the first empty slot and never goes beyond the pair that lies farthest from its
 * home. The table doubles when half full and halves when an eighth full.
 */

const SLOTS_MIN = 16
/** With this many slots per pair, a pair far from its home means equal keys, not a crowded table. */
const SPARSE_SLOTS_PER_PAIR = 8

export class SlotTable {
  size = 0
  /** Pairs of key and value + 1; 0 in the second place is an empty slot. */
  #slots: Int32Array = new Int32Array(SLOTS_MIN * 2)
  #mask = SLOTS_MIN - 1
  /** How far from its home a pair may lie at present. */
  #reach = 0

  /** The first slot that has this key, or -1. */
  first(key: number): number {
    return this.#seek(key, 0)
  }

  /** The next slot after `slot` that has this key too, or -1. */
  next(key: number, slot: number): number {
    return this.#seek(key, ((slot - key) & this.#mask) + 1)
  }

  valueAt(slot: number): number {
    return this.#slots[slot * 2 + 1]! - 1
  }

  setValueAt(slot: number, value: number): void {
    this.#slots[slot * 2 + 1] = value + 1
  }

  /** Adds a pair, unless it would lie more than `reachMax` from its home although there is room. */
  add(key: number, value: number, reachMax: number = Infinity): boolean {
    if ((this.size + 1) * 2 > this.#mask + 1) this.#resize((this.#mask + 1) * 2)
    while (!this.#place(key, value, reachMax)) {
      if (this.#mask + 1 >= this.size * SPARSE_SLOTS_PER_PAIR) return false
      this.#resize((this.#mask + 1) * 2)
    }
    this.size++
    return true
  }

  /** Empties a slot; slots that were looked up before are not valid after this. */
  removeAt(slot: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = slot
    // Every pair behind the hole that may lie nearer to its home moves up.
    for (let at = (hole + 1) & mask; slots[at * 2 + 1] !== 0; at = (at + 1) & mask) {
      if (((at - slots[at * 2]!) & mask) < ((at - hole) & mask)) continue
      slots[hole * 2] = slots[at * 2]!
      slots[hole * 2 + 1] = slots[at * 2 + 1]!
      hole = at
    }
    slots[hole * 2] = 0
    slots[hole * 2 + 1] = 0
    this.size--
    if (mask >= SLOTS_MIN && this.size * 8 < mask) this.#resize((mask + 1) / 2)
  }

  /** The first slot with this key that lies `distance` or more from the key's home, or -1. */
  #seek(key: number, distance: number): number {
    const slots = this.#slots
    const mask = this.#mask
    for (let slot = (key + distance) & mask; distance <= this.#reach; distance++) {
      if (slots[slot * 2 + 1] === 0) return -1
      if (slots[slot * 2] === key) return slot
      slot = (slot + 1) & mask
    }
    return -1
  }

  #place(key: number, value: number, reachMax: number): boolean {
    const slots = this.#slots
    const mask = this.#mask
    let slot = key & mask
    let distance = 0
    while (slots[slot * 2 + 1] !== 0) {
      if (distance++ === reachMax) return false
      slot = (slot + 1) & mask
    }
    slots[slot * 2] = key
    slots[slot * 2 + 1] = value + 1
    if (distance > this.#reach) this.#reach = distance
    return true
  }

  #resize(slotCount: number): void {
    const before = this.#slots
    this.#slots = new Int32Array(slotCount * 2)
    this.#mask = slotCount - 1
    this.#reach = 0
    for (let at = 0; at < before.length; at += 2) {
      // Pairs that are in stay in, however far they move.
      if (before[at + 1] !== 0) this.#place(before[at]!, before[at + 1]! - 1, Infinity)
    }
  }
}
