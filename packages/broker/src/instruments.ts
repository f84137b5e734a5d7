/** The metrics of a node, with the label values that are the broker's. */
import { createInstruments, type Instruments, type LabelSets } from '@breakwater/metrics'
import {
  closeReasonIds,
  DROP_REASONS,
  type CloseReasonId,
  type DropReason,
} from './close-reason.ts'
import { logKinds, type LogKind } from './log/kinds.ts'
import { VERSION } from './version.ts'

interface BrokerLabels extends LabelSets {
  closeReasons: CloseReasonId
  dropReasons: DropReason
  logKinds: LogKind
}

export type BrokerInstruments = Instruments<BrokerLabels>

export function createBrokerInstruments(listeners: readonly string[]): BrokerInstruments {
  return createInstruments({
    build: { version: VERSION, commit: 'unknown' },
    listeners,
    closeReasons: closeReasonIds,
    dropReasons: DROP_REASONS,
    logKinds,
  }) as BrokerInstruments
}
