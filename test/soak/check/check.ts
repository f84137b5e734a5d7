/** The checker: all promises over one history. Pure: the same history gives the same answer. */
import type { NodeBooks } from '../books.ts'
import type { HistoryLine } from '../history.ts'
import type { FoundKey } from '../leftovers.ts'
import { checkAcknowledgedStored } from './acknowledged-stored.ts'
import { checkBalance } from './balance.ts'
import { checkExactlyOnce } from './exactly-once.ts'
import { indexHistory } from './history-index.ts'
import { checkLiveGaps } from './live-gaps.ts'
import { checkLeftovers } from './no-leftovers.ts'
import { checkOneOwner } from './one-owner.ts'
import { checkOrder } from './order.ts'
import { checkResume } from './resume.ts'
import { checkRetainedFound } from './retained-found.ts'
import { checkShared } from './shared.ts'
import { checkStalled } from './stalled.ts'
import type { Violation } from './violation.ts'
import { checkWills } from './wills.ts'

export interface RoundFacts {
  readonly prefix: string
  readonly keys: readonly FoundKey[]
  readonly alive: readonly string[]
  readonly books: readonly NodeBooks[]
  /** What could not be finished after the last fault. */
  readonly stuck: readonly string[]
}

const CLOSE_WITHIN_MS = 5_000
const END_WITHIN_MS = 3_000
const DELIVER_WITHIN_MS = 3_000
/** Leases, reconnects and a node's start: what follows a fault is not calm yet. */
const RECOVER_MS = 6_000

/** `lines` end where everything had been read, before clients ended their sessions. */
export function checkHistory(
  lines: readonly HistoryLine[],
  { prefix, keys, alive, books, stuck }: RoundFacts,
): Violation[] {
  const index = indexHistory(lines)
  const at = lines.at(-1)?.at ?? 0
  return [
    ...stuck.map((text): Violation => ({ guarantee: 'G9', text, at })),
    ...checkAcknowledgedStored(index),
    ...checkRetainedFound(index),
    ...checkLiveGaps(index, { closeWithinMs: CLOSE_WITHIN_MS }),
    ...checkOneOwner(index, { endWithinMs: END_WITHIN_MS, recoverMs: RECOVER_MS }),
    ...checkStalled(index, { deliverWithinMs: DELIVER_WITHIN_MS, recoverMs: RECOVER_MS }),
    ...checkOrder(index),
    ...checkResume(index),
    ...checkLeftovers({ prefix, keys, alive, at }),
    ...checkWills(index),
    ...checkBalance(index, books, at),
    ...checkExactlyOnce(index),
    ...checkShared(index, { recoverMs: RECOVER_MS }),
  ]
}
