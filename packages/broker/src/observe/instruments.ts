/** The metrics of a node, with the label values that are the broker's. */
import { createInstruments, type Instruments, type LabelSets } from '@breakwater/metrics'
import {
  REDIS_FAULTS,
  REDIS_SETTINGS,
  redisKeyKinds,
  type RedisFaultKind,
  type RedisKeyKind,
  type RedisSetting,
} from '@breakwater/redis'
import {
  closeReasonIds,
  DROP_REASONS,
  type CloseReasonId,
  type DropReason,
} from '../connection/close-reason.ts'
import { logKinds, type LogKind } from '../log/kinds.ts'
import { VERSION } from '../version.ts'

interface BrokerLabels extends LabelSets {
  closeReasons: CloseReasonId
  dropReasons: DropReason
  logKinds: LogKind
  redisFaults: RedisFaultKind
  redisSettings: RedisSetting
  redisKeys: RedisKeyKind
}

export type BrokerInstruments = Instruments<BrokerLabels>

export function createBrokerInstruments(listeners: readonly string[]): BrokerInstruments {
  return createInstruments({
    build: { version: VERSION, commit: 'unknown' },
    listeners,
    closeReasons: closeReasonIds,
    dropReasons: DROP_REASONS,
    logKinds,
    redisFaults: REDIS_FAULTS,
    redisSettings: REDIS_SETTINGS,
    redisKeys: redisKeyKinds,
  }) as BrokerInstruments
}
