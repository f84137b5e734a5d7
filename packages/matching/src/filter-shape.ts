import { HASHED_LEVELS_MAX } from './level-hash.ts'

/**
 * The shape of a filter: how many levels it has, which of them are `+`, and whether it ends in `#`.
 * Filters of one shape differ only in their literal levels, so one hash index holds them all and a
 * topic needs one probe of it, however many they are.
 */
export interface FilterShape {
  /** Equal for equal shapes, different for different ones; fits a double. */
  readonly id: number
  /** Levels before a trailing `#`, or all levels. */
  readonly levels: number
  /** Whether the filter ends in `#`. */
  readonly multiLevel: boolean
  /** Positions of the literal levels, ascending. */
  readonly literals: readonly number[]
  /** Whether the first level is a wildcard; such filters do not match `$` topics. [MQTT-4.7.2-1] */
  readonly leadingWildcard: boolean
}

const PLUS = 43

/**
 * The number that names a filter's shape, or -1 where it has more levels than shapes are made for.
 * Two filters share a shape exactly if these numbers are equal, so it also serves to count the
 * shapes of one client.
 */
export function filterShapeId(filter: string): number {
  let levels = 0
  let plus = 0
  for (let start = 0; start <= filter.length; levels++) {
    if (levels > HASHED_LEVELS_MAX) return -1
    if (filter.charCodeAt(start) === PLUS && levels < HASHED_LEVELS_MAX) plus |= 1 << levels
    const slash = filter.indexOf('/', start)
    start = slash === -1 ? filter.length + 1 : slash + 1
  }
  const multiLevel = filter.endsWith('#')
  if (multiLevel) levels--
  if (levels > HASHED_LEVELS_MAX) return -1
  return (levels * 2 + (multiLevel ? 1 : 0)) * 2 ** 32 + (plus >>> 0)
}

/** What a shape's number says, spelled out. */
export function filterShape(id: number): FilterShape {
  const head = Math.floor(id / 2 ** 32)
  const plus = id % 2 ** 32
  const levels = head >> 1
  const literals: number[] = []
  for (let level = 0; level < levels; level++) {
    if (((plus >>> level) & 1) === 0) literals.push(level)
  }
  return {
    id,
    levels,
    multiLevel: (head & 1) === 1,
    literals,
    leadingWildcard: literals[0] !== 0,
  }
}

/** Filters without a wildcard, of any number of levels: the shape of which every level is literal. */
export const EXACT_SHAPE: FilterShape = {
  id: -2,
  levels: 0,
  multiLevel: true,
  literals: Array.from({ length: HASHED_LEVELS_MAX }, (_, level) => level),
  leadingWildcard: false,
}
