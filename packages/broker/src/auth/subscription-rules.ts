import type { QoS } from '@breakwater/bus'
import type { Limits } from '@breakwater/config'
import { topicLevels } from '../route/topic.ts'

/** What a client holds already, for the limits per client. */
export interface HeldFilters {
  readonly filters: ReadonlyMap<string, QoS>
  readonly shapes: ReadonlyMap<string, number>
}

/** The shape of a filter: its wildcards and how many levels it has; undefined without wildcards. */
export function shapeOf(filter: string): string | undefined {
  if (!filter.includes('+') && !filter.includes('#')) return undefined
  return filter
    .split('/')
    .map((level) => (level === '+' || level === '#' ? level : ''))
    .join('/')
}

/**
 * Why a filter is refused with 0x80, or undefined.
 *
 * @param added filters and shapes that the same SUBSCRIBE was granted already
 */
export function refusalOf(
  filter: string,
  held: HeldFilters,
  added: { readonly filters: ReadonlySet<string>; readonly shapes: ReadonlySet<string> },
  limits: Limits,
): string | undefined {
  if (filter === '$share' || filter.startsWith('$share/'))
    return 'shared subscriptions are not available in this version'
  if (Buffer.byteLength(filter) > limits.topicBytesMax) return 'longer than topicBytesMax'
  if (topicLevels(filter) > limits.topicLevelsMax) return 'more levels than topicLevelsMax'
  if (held.filters.has(filter) || added.filters.has(filter)) return undefined
  if (held.filters.size + added.filters.size >= limits.filtersPerClientMax)
    return 'more filters than filtersPerClientMax'
  const shape = shapeOf(filter)
  if (shape === undefined || held.shapes.has(shape) || added.shapes.has(shape)) return undefined
  return held.shapes.size + added.shapes.size >= limits.shapesPerClientMax
    ? 'more wildcard shapes than shapesPerClientMax'
    : undefined
}
