import type { QoS } from '@breakwater/mqtt'
import type { Matches, Target } from './matches.ts'
import { SlotTable } from './slot-table.ts'

/**
 * The targets of one filter where they are more than one.
 *
 * A narrow audience is a pair of exact arrays that each change replaces; a match hands them out as
 * they are. A wide one has arrays that change in place and an index by the targets' stamps, so that
 * set and delete cost the same for 20 targets and for 100,000; a match hands out a copy, which is
 * made once per change and shared by every topic that only this filter matches. In both, the last
 * target takes the place of one that leaves.
 */

/** Up to here, looking at each target is as fast as an index and costs no memory. */
const NARROW_MAX = 16

let lastStamp = 0

export class Audience<T extends Target> {
  #targets: T[] = []
  #qos: QoS[] = []
  /** A wide audience's index from targets to their places. */
  #places: SlotTable | undefined
  #matches: Matches<T> | undefined

  get size(): number {
    return this.#targets.length
  }

  get matches(): Matches<T> {
    this.#matches ??=
      this.#places === undefined
        ? { targets: this.#targets, qos: this.#qos }
        : { targets: this.#targets.slice(), qos: this.#qos.slice() }
    return this.#matches
  }

  qosOf(target: T): QoS | undefined {
    return this.#qos[this.#placeOf(target)]
  }

  set(target: T, qos: QoS): void {
    this.#beforeChange()
    const place = this.#placeOf(target)
    if (place !== -1) {
      this.#qos[place] = qos
    } else if (this.#places !== undefined) {
      this.#targets.push(target)
      this.#qos.push(qos)
      this.#places.add(keyOf(target), this.#targets.length - 1)
    } else {
      // Unlike push, concat leaves no spare room, which would be most of a narrow audience's memory.
      this.#targets = this.#targets.concat([target])
      this.#qos = this.#qos.concat([qos])
      if (this.#targets.length > NARROW_MAX) this.#widen()
    }
  }

  delete(target: T): boolean {
    const place = this.#placeOf(target)
    if (place === -1) return false
    this.#beforeChange()
    const places = this.#places
    const lastPlace = this.#targets.length - 1
    const last = this.#targets[lastPlace]!
    places?.removeAt(this.#slotOf(places, target))
    if (place !== lastPlace) {
      places?.setValueAt(this.#slotOf(places, last), place)
      this.#targets[place] = last
      this.#qos[place] = this.#qos[lastPlace]!
    }
    this.#targets.pop()
    this.#qos.pop()
    if (lastPlace <= NARROW_MAX / 2) this.#places = undefined
    return true
  }

  /** Makes sure that what was handed out is not what is about to change. */
  #beforeChange(): void {
    if (this.#matches !== undefined && this.#places === undefined) {
      this.#targets = this.#targets.slice()
      this.#qos = this.#qos.slice()
    }
    this.#matches = undefined
  }

  #widen(): void {
    this.#places = new SlotTable()
    for (const [place, target] of this.#targets.entries()) this.#places.add(keyOf(target), place)
  }

  #placeOf(target: T): number {
    if (this.#places === undefined) return this.#targets.indexOf(target)
    const slot = this.#slotOf(this.#places, target)
    return slot === -1 ? -1 : this.#places.valueAt(slot)
  }

  #slotOf(places: SlotTable, target: T): number {
    const key = keyOf(target)
    let slot = places.first(key)
    while (slot !== -1 && this.#targets[places.valueAt(slot)] !== target) {
      slot = places.next(key, slot)
    }
    return slot
  }
}

/** Stamps are serial numbers; mixed, those of any set of targets lie scattered. */
function keyOf(target: Target): number {
  if (target.matchStamp === 0) target.matchStamp = ++lastStamp
  let key = Math.imul(target.matchStamp ^ (target.matchStamp >>> 16), 0x85ebca6b)
  key = Math.imul(key ^ (key >>> 13), 0xc2b2ae35)
  return key ^ (key >>> 16)
}
