/**
 * Filters of shared subscriptions, `$share/<group>/<filter>`: the names that MQTT 5 gives them (4.8.2), here for
 * 3.1 and 3.1.1 too.
 */
import { isValidTopicFilter } from './topic.ts'

const PREFIX = '$share/'

export interface SharedFilter {
  readonly group: string
  /** What the messages of the group match. */
  readonly topicFilter: string
}

/** Whether a filter asks for a shared subscription, well formed or not. */
export function isSharedFilter(filter: string): boolean {
  return filter.startsWith(PREFIX) || filter === '$share'
}

/** Undefined where the group is empty or has a wildcard, or the filter behind it is none. */
export function parseSharedFilter(filter: string): SharedFilter | undefined {
  if (!filter.startsWith(PREFIX)) return undefined
  const end = filter.indexOf('/', PREFIX.length)
  if (end <= PREFIX.length) return undefined
  const group = filter.slice(PREFIX.length, end)
  const topicFilter = filter.slice(end + 1)
  if (group.includes('+') || group.includes('#') || !isValidTopicFilter(topicFilter))
    return undefined
  return { group, topicFilter }
}
