import { FilterPool } from './filter-pool.ts'
import { FilterTable, type FilterTableLimits } from './filter-table.ts'
import type { Matches, Target } from './matches.ts'

/**
 * The forwarding table: which of this node's clients get a message of this topic?
 *
 * Programmed by the control plane on subscribe, unsubscribe, resume and close. Targets of one filter come as
 * they were added, but the last one takes the place of one that leaves.
 */
export class ForwardingTable<T extends Target> extends FilterTable<T, Matches<T>> {
  constructor(limits?: FilterTableLimits) {
    super(new FilterPool<T>(), limits)
  }
}
