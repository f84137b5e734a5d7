import {
  hasWildcard,
  isSharedFilter,
  parseSharedFilter,
  topicLevels,
  type QoS,
} from '@breakwater/mqtt'
import type { Limits } from '@breakwater/config'
import type { FilterRefusal } from '@breakwater/metrics'
import { filterShapeId } from '@breakwater/matching'

/** What a client holds already, for the limits per client. */
export interface HeldFilters {
  readonly filters: ReadonlyMap<string, QoS>
  readonly filterBytes: number
  /** How many of them are shared subscriptions. */
  readonly groups: number
  /** How many filters have each shape of wildcards. */
  readonly shapes: ReadonlyMap<number, number> | undefined
}

export const NO_FILTERS: HeldFilters = {
  filters: new Map(),
  filterBytes: 0,
  groups: 0,
  shapes: undefined,
}

/** All filters with more levels than shapes are made for: each of them costs as much as a shape. */
const DEEP = -1

/** The shape of a filter's wildcards; undefined without any. */
export function shapeOf(filter: string): number | undefined {
  return hasWildcard(filter) ? filterShapeId(filter) : undefined
}

/**
 * What one SUBSCRIBE asks for, filter by filter: which are granted. What is decided of one filter costs the same
 * however many there are; the access rules are asked at most once for each that is held or granted, and for
 * `filtersPerClientMax` that they do not allow.
 */
export class FilterRequests {
  readonly #held: HeldFilters
  readonly #limits: Limits
  readonly #isAllowed: (filter: string) => boolean
  /** By filter, why it is refused; undefined: it is granted. */
  readonly #decided = new Map<string, FilterRefusal | undefined>()
  readonly #shapes = new Set<number>()
  #shapeCount: number
  #filterCount: number
  #filterBytes: number
  #groupCount: number
  #deniedCount = 0

  constructor(held: HeldFilters, limits: Limits, isAllowed: (filter: string) => boolean) {
    this.#held = held
    this.#limits = limits
    this.#isAllowed = isAllowed
    this.#filterCount = held.filters.size
    this.#filterBytes = held.filterBytes
    this.#groupCount = held.groups
    this.#shapeCount = (held.shapes?.size ?? 0) + Math.max(0, (held.shapes?.get(DEEP) ?? 0) - 1)
  }

  /** Why a filter is refused with 0x80, or undefined. */
  refusal(filter: string): FilterRefusal | undefined {
    const known = this.#decided.get(filter)
    if (known !== undefined || this.#decided.has(filter)) return known
    const why = this.#decide(filter)
    this.#decided.set(filter, why)
    return why
  }

  #decide(filter: string): FilterRefusal | undefined {
    const { topicBytesMax, topicLevelsMax, filtersPerClientMax } = this.#limits
    if (isSharedFilter(filter) && parseSharedFilter(filter) === undefined) return 'malformed-share'
    const bytes = Buffer.byteLength(filter)
    if (bytes > topicBytesMax) return 'too-long'
    if (topicLevels(filter) > topicLevelsMax) return 'too-deep'
    if (this.#held.filters.has(filter)) return this.#denied(filter)
    if (this.#filterCount >= filtersPerClientMax) return 'filters-full'
    if (this.#filterBytes + bytes > this.#limits.filterBytesPerClientMax) return 'filter-bytes-full'
    const isGroup = isSharedFilter(filter)
    if (isGroup && this.#groupCount >= this.#limits.sharedGroupsPerClientMax) return 'groups-full'
    const shape = shapeOf(filter)
    const isNewShape = shape !== undefined && this.#isNewShape(shape)
    if (isNewShape && this.#shapeCount >= this.#limits.shapesPerClientMax) return 'shapes-full'
    if (this.#deniedCount >= filtersPerClientMax) return 'denied-unasked'
    const denied = this.#denied(filter)
    if (denied !== undefined) return denied
    this.#filterCount += 1
    this.#filterBytes += bytes
    if (isGroup) this.#groupCount += 1
    if (isNewShape) {
      this.#shapes.add(shape)
      this.#shapeCount += 1
    }
    return undefined
  }

  #isNewShape(shape: number): boolean {
    return shape === DEEP || (this.#held.shapes?.has(shape) !== true && !this.#shapes.has(shape))
  }

  #denied(filter: string): FilterRefusal | undefined {
    if (this.#isAllowed(filter)) return undefined
    this.#deniedCount += 1
    return 'denied'
  }
}
