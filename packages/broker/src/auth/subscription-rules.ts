import {
  hasWildcard,
  isSharedFilter,
  parseSharedFilter,
  topicLevels,
  type QoS,
} from '@breakwater/bus'
import type { Limits } from '@breakwater/config'
import { filterShapeId } from '../route/filter-shape.ts'

/** What a client holds already, for the limits per client. */
export interface HeldFilters {
  readonly filters: ReadonlyMap<string, QoS>
  readonly shapes: ReadonlyMap<number, number> | undefined
}

/** The shape of a filter's wildcards; undefined without any. All very deep ones count as one shape. */
export function shapeOf(filter: string): number | undefined {
  return hasWildcard(filter) ? filterShapeId(filter) : undefined
}

/**
 * Why a filter is refused with 0x80, or undefined.
 *
 * @param added filters and shapes that the same SUBSCRIBE was granted already
 */
export function refusalOf(
  filter: string,
  held: HeldFilters,
  added: { readonly filters: ReadonlySet<string>; readonly shapes: ReadonlySet<number> },
  limits: Limits,
): string | undefined {
  if (isSharedFilter(filter) && parseSharedFilter(filter) === undefined)
    return 'not $share/<group>/<filter>'
  if (Buffer.byteLength(filter) > limits.topicBytesMax) return 'longer than topicBytesMax'
  if (topicLevels(filter) > limits.topicLevelsMax) return 'more levels than topicLevelsMax'
  if (held.filters.has(filter) || added.filters.has(filter)) return undefined
  if (held.filters.size + added.filters.size >= limits.filtersPerClientMax)
    return 'more filters than filtersPerClientMax'
  const shape = shapeOf(filter)
  if (shape === undefined || held.shapes?.has(shape) === true || added.shapes.has(shape))
    return undefined
  return (held.shapes?.size ?? 0) + added.shapes.size >= limits.shapesPerClientMax
    ? 'more wildcard shapes than shapesPerClientMax'
    : undefined
}
