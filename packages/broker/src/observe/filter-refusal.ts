/** Why a filter is refused, in words: of the log, and of the report of an import. */
import type { FilterRefusal } from '@breakwater/metrics'

export const WHY_REFUSED: Readonly<Record<FilterRefusal, string>> = {
  'malformed-share': 'not $share/<group>/<filter>',
  'too-long': 'longer than topicBytesMax',
  'too-deep': 'more levels than topicLevelsMax',
  'filters-full': 'more filters than filtersPerClientMax',
  'filter-bytes-full': 'more bytes of filters than filterBytesPerClientMax',
  'groups-full': 'more shared subscriptions than sharedGroupsPerClientMax',
  'user-groups-full': 'more groups of its user than sharedGroupsPerUserMax',
  'shapes-full': 'more wildcard shapes than shapesPerClientMax',
  denied: 'the access rules do not allow it',
  'denied-unasked': 'more filters that the access rules do not allow than filtersPerClientMax',
}
