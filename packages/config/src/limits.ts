/**
 * Every bound of a node. A limit is never silent: what happens at it is part of its declaration, and
 * docs/LIMITS.md says the same (held together by test/tidy/reference-docs.test.ts).
 */
import { ADMIN_LIMITS } from './admin-limits.ts'
import { ADMISSION_LIMITS } from './admission-limits.ts'
import { LOG_LIMITS } from './log-limits.ts'
import { PACKET_LIMITS } from './packet-limits.ts'
import { SHARE_LIMITS } from './share-limits.ts'

export interface LimitDeclaration {
  readonly unit:
    | 'bytes'
    | 'messages'
    | 'levels'
    | 'filters'
    | 'shapes'
    | 'connections'
    | 'sessions'
    | 'groups'
    | 'revocations'
    | 'logins'
    | 'per second'
    | 'per minute'
    | 'ms'
  readonly default: number
  readonly min: number
  readonly max: number
  readonly protects: string
  readonly atLimit: string
}

const LIMITS = {
  inflightMessagesMax: {
    unit: 'messages',
    default: 256,
    min: 1,
    max: 65_535,
    protects: 'a client against more unacknowledged QoS 1/2 messages than it can hold',
    atLimit: 'further messages wait in the queue of the session',
  },
  inboundMessagesMax: {
    unit: 'messages',
    default: 1_024,
    min: 1,
    max: 65_535,
    protects: 'memory while publishes of one connection wait for the store',
    atLimit: 'the connection is not read until earlier publishes are acknowledged',
  },
  inboundQos2Max: {
    unit: 'messages',
    default: 1_024,
    min: 1,
    max: 65_535,
    protects: 'the store against QoS 2 publishes that are never released',
    atLimit: 'closed with `receive-maximum-exceeded`',
  },
  queueMessagesMax: {
    unit: 'messages',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    protects: 'the store against a session whose device stays away',
    atLimit:
      'as `BREAKWATER_QUEUE_POLICY` says: the oldest message is dropped and counted as `queue-full`, unless another one is set',
  },
  queueBytesMax: {
    unit: 'bytes',
    default: 67_108_864,
    min: 1_024,
    max: 1_099_511_627_776,
    protects: 'the store against a session whose device stays away',
    atLimit: 'as queueMessagesMax',
  },
  outboundMessagesMax: {
    unit: 'messages',
    default: 10_000,
    min: 16,
    max: 10_000_000,
    protects: 'memory of a node against a subscriber that reads slowly',
    atLimit:
      'QoS 0 is dropped and counted as `slow-consumer`; a clean session with QoS 1/2 is closed with `queue-overflow`; a persistent one reads on from its queue',
  },
  outboundBytesMax: {
    unit: 'bytes',
    default: 1_048_576,
    min: 4_096,
    max: 1_073_741_824,
    protects: 'memory of a node against a subscriber that reads slowly',
    atLimit: 'as outboundMessagesMax',
  },
  publishMessagesPerSecondMax: {
    unit: 'per second',
    default: 0,
    min: 0,
    max: 10_000_000,
    protects: 'everybody against one publisher (0 = no limit)',
    atLimit: 'the connection is not read until tokens are back; nothing is dropped',
  },
  publishBytesPerSecondMax: {
    unit: 'per second',
    default: 0,
    min: 0,
    max: 1_000_000_000_000,
    protects: 'everybody against one publisher (0 = no limit)',
    atLimit: 'the connection is not read until tokens are back; nothing is dropped',
  },
  retainedReplayMessagesMax: {
    unit: 'messages',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    protects: 'a subscriber and its node against a filter that matches every retained message',
    atLimit: 'the replay of that SUBSCRIBE ends; the rest is counted as `retained-replay-limit`',
  },
  revocationsMax: {
    unit: 'revocations',
    default: 10_000,
    min: 1,
    max: 100_000,
    protects: 'memory of the nodes, and the time in which one reads all revocations',
    atLimit: '`POST /api/v1/revocations` is refused with 507; those that there are stay in force',
  },
  certificateExpirySpreadMs: {
    unit: 'ms',
    default: 10_000,
    min: 0,
    max: 3_600_000,
    protects: 'the nodes against a fleet whose certificates end in the same second',
    atLimit: 'closed with `certificate-expired` at a random moment within so long after the end',
  },
  handshakeTimeoutMs: {
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
    protects: 'sockets that open and never finish TLS, a PROXY header or a WebSocket',
    atLimit: 'closed with `handshake-timeout`',
  },
  ticketKeyRotationMs: {
    unit: 'ms',
    default: 28_800_000,
    min: 1_000,
    max: 2_592_000_000,
    protects: 'what was said in resumed sessions against a ticket key that becomes known later',
    atLimit: 'nodes use another key of their making; tickets of the old one become full handshakes',
  },
  filePollMs: {
    unit: 'ms',
    default: 60_000,
    min: 50,
    max: 86_400_000,
    protects: 'a rotation against a file system that tells nothing of changes',
    atLimit: 'every file that a setting names is read again, and used if it is new and good',
  },
  authHttpTimeoutMs: {
    unit: 'ms',
    default: 3_000,
    min: 10,
    max: 60_000,
    protects: 'CONNECT against an HTTP hook that does not answer',
    atLimit: 'CONNACK 0x03, closed with `authentication-unavailable`',
  },
  jwtKeysFetchesPerMinuteMax: {
    unit: 'per minute',
    default: 12,
    min: 1,
    max: 600,
    protects: 'the service that has the keys of tokens against tokens that name ever-new keys',
    atLimit:
      'a login whose key is not known waits for the next fetch; where that would come too late: CONNACK 0x03, closed with `authentication-unavailable`',
  },
  jwtKeysAgeMaxMs: {
    unit: 'ms',
    default: 86_400_000,
    min: 1_000,
    max: 2_592_000_000,
    protects: 'everybody against keys of tokens that were taken back while their service was away',
    atLimit:
      'keys that were fetched so long ago are not used any more: CONNACK 0x03, closed with `authentication-unavailable`',
  },
  authHttpRequestsMax: {
    unit: 'logins',
    default: 64,
    min: 1,
    max: 10_000,
    protects: 'the HTTP hook against more questions at once than it can answer in time',
    atLimit: 'further logins wait for their turn, as those of loginChecksMax do',
  },
  authHttpPauseMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: 600_000,
    protects: 'an HTTP hook that has failed five times in a row against further questions',
    atLimit: 'it is asked one question, and the others when that is answered',
  },
  authHttpCacheMs: {
    unit: 'ms',
    default: 60_000,
    min: 0,
    max: 86_400_000,
    protects: 'the HTTP hook against clients that come back (0 = each CONNECT is asked about)',
    atLimit: 'the same credentials are asked about again',
  },
  connectTimeoutMs: {
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
    protects: 'sockets that never send a whole CONNECT',
    atLimit:
      'closed with `connect-timeout`; a login waits for its check for four fifths of it at most',
  },
  stallTimeoutMs: {
    unit: 'ms',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    protects: 'memory held for a client that takes nothing',
    atLimit: 'closed with `stalled`',
  },
  takeOverTimeoutMs: {
    unit: 'ms',
    default: 2_000,
    min: 10,
    max: 60_000,
    protects: 'a reconnecting client against an old connection that will not end',
    atLimit: 'the new connection goes on; the old one is destroyed',
  },
  willTakeOverWindowMs: {
    unit: 'ms',
    default: 0,
    min: 0,
    max: 3_600_000,
    protects: 'subscribers against wills of clients that are back at once (0 = no window)',
    atLimit:
      'a will waits so long after a lost connection; then it is published, unless the client is back',
  },
  willDrainWindowMs: {
    unit: 'ms',
    default: 10_000,
    min: 0,
    max: 3_600_000,
    protects: 'subscribers against wills of clients that a stopping node sends to another one',
    atLimit: 'another node publishes the wills of those that are not back so long after the stop',
  },
  drainClientsPerSecond: {
    unit: 'per second',
    default: 500,
    min: 1,
    max: 1_000_000,
    protects: 'other nodes against a crowd of handshakes when this one stops',
    atLimit:
      'further clients are served until their turn comes; more go where `BREAKWATER_SHUTDOWN_TIMEOUT` would not suffice',
  },
  nodeLeaseMs: {
    unit: 'ms',
    default: 10_000,
    min: 500,
    max: 600_000,
    protects: 'the cluster against nodes that are gone',
    atLimit:
      'a node without a sign of life is declared dead: nothing is sent to it; back, it closes its clean QoS 1/2 subscribers with `lease-lost`',
  },
  viewLeaseMs: {
    unit: 'ms',
    default: 1_000,
    min: 100,
    max: 60_000,
    protects:
      'SUBACK against a node that does not answer; publishers against filters not known yet',
    atLimit:
      'SUBACK waits for no node longer; a node that has not reached Redis for so long acknowledges QoS 1/2 only when it has',
  },
  storeTimeoutMs: {
    unit: 'ms',
    default: 15_000,
    min: 100,
    max: 600_000,
    protects: 'a publisher against waiting for ever for a store that does not answer',
    atLimit: 'closed with `store-unavailable`, nothing acknowledged',
  },
} as const

export type LimitName =
  | keyof typeof PACKET_LIMITS
  | keyof typeof LIMITS
  | keyof typeof ADMISSION_LIMITS
  | keyof typeof SHARE_LIMITS
  | keyof typeof LOG_LIMITS
  | keyof typeof ADMIN_LIMITS
export type Limits = Readonly<Record<LimitName, number>>

/** The declarations by name, with their shape checked. */
export const limitDeclarations: Readonly<Record<LimitName, LimitDeclaration>> = {
  ...PACKET_LIMITS,
  ...LIMITS,
  ...ADMISSION_LIMITS,
  ...SHARE_LIMITS,
  ...LOG_LIMITS,
  ...ADMIN_LIMITS,
}

export const limitNames: readonly LimitName[] = Object.keys(limitDeclarations) as LimitName[]

/** `packetBytesMax` → `BREAKWATER_LIMIT_PACKET_BYTES_MAX`. */
export function limitVariable(name: LimitName): string {
  return `BREAKWATER_LIMIT_${name.replace(/([A-Z])/g, '_$1').toUpperCase()}`
}

/** The defaults, with the given ones in their place (values are checked by `decideConfig`). */
export function limitsWith(overrides: Partial<Limits> = {}): Limits {
  const limits = {} as Record<LimitName, number>
  for (const name of limitNames) limits[name] = overrides[name] ?? limitDeclarations[name].default
  return Object.freeze(limits)
}
