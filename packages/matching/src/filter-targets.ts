import type { QoS } from '@breakwater/mqtt'
import type { FilterNames } from './filter-names.ts'

/** What a table knows about its filters by id; ids of filters that are gone are used again. */
export interface FilterTargets<T, M> extends FilterNames {
  /** Filters. */
  readonly size: number
  /** An id for a filter, which has no target yet. */
  open(filter: string): number
  /** Takes back the id of a filter that has no target any more. */
  close(id: number): void
  hasTargets(id: number): boolean
  /** Gives the target this QoS and returns the one it had. */
  set(id: number, target: T, qos: QoS): QoS | undefined
  /** False if the filter did not have the target. */
  delete(id: number, target: T): boolean
  /** The targets of the first `count` of these filters, each once, with the highest QoS. */
  join(ids: readonly number[], count: number): M
}
