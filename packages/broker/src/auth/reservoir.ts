/**
 * Who of those that came in a while gets one of a few places: each of them has the same chance, whenever it
 * came, so whoever is quick has no advantage (reservoir sampling). Bound: `max` are kept.
 */
import { randomInt } from 'node:crypto'

export class Reservoir<Item> {
  readonly #max: number
  readonly #kept: Item[] = []
  #tries = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Returns the one that has lost by this, which may be the new one. */
  add(item: Item): Item | undefined {
    this.#tries += 1
    if (this.#kept.length < this.#max) {
      this.#kept.push(item)
      return undefined
    }
    const place = randomInt(this.#tries)
    const loser = this.#kept[place]
    if (loser === undefined) return item
    this.#kept[place] = item
    return loser
  }

  /** It does not want a place any more. */
  delete(item: Item): void {
    const place = this.#kept.indexOf(item)
    if (place !== -1) this.#kept.splice(place, 1)
  }

  /** Those that are kept, in an order that nobody chose. */
  drawn(): readonly Item[] {
    const items = [...this.#kept]
    for (let last = items.length - 1; last > 0; last -= 1) {
      const other = randomInt(last + 1)
      ;[items[last], items[other]] = [items[other] as Item, items[last] as Item]
    }
    return items
  }
}
