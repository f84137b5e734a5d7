import { RETAINED_BUCKETS } from '@breakwater/redis'

/** What one session, one user and the cluster may have stored; each is a limit of the node (config/share-limits.ts). */
export interface ShareBounds {
  /** Of one session: QoS 2 publishes that are not released. One of any size is taken. */
  readonly inboundQos2BytesMax: number
  /** Of the cluster, and of one user; each bucket of topics may have a sixteenth of it. */
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
  readonly retainedMessagesPerUserMax: number
  readonly retainedBytesPerUserMax: number
  readonly sessionsPerUserMax: number
  readonly sharedGroupsPerUserMax: number
  /** Its n-th session, or group, may queue an n-th of it; of any size it may queue one message. */
  readonly queueBytesPerUserMax: number
}

/** What a queue may have however many a user has. */
export function roomMin(bounds: Partial<ShareBounds> = {}): number {
  const shares = { ...UNBOUNDED, ...bounds }
  const most = Math.max(shares.sessionsPerUserMax, shares.sharedGroupsPerUserMax)
  return Math.floor(shares.queueBytesPerUserMax / Math.max(1, most))
}

/** What one bucket of topics may have of a bound of retained messages. */
export function perBucket(bound: number): number {
  return Math.ceil(bound / RETAINED_BUCKETS)
}

/** Far above everything, and a whole number to Lua. */
const NO_BOUND = 2 ** 50

export const UNBOUNDED: ShareBounds = {
  inboundQos2BytesMax: NO_BOUND,
  sessionsPerUserMax: NO_BOUND,
  sharedGroupsPerUserMax: NO_BOUND,
  retainedMessagesMax: NO_BOUND,
  retainedBytesMax: NO_BOUND,
  retainedMessagesPerUserMax: NO_BOUND,
  retainedBytesPerUserMax: NO_BOUND,
  queueBytesPerUserMax: NO_BOUND,
}

/** A QoS 2 publish found `inboundQos2BytesMax` reached: it was not kept. */
export class InboundFullError extends Error {
  override readonly name = 'InboundFullError'

  constructor() {
    super('unreleased QoS 2 publishes have reached inboundQos2BytesMax')
  }
}

/** A message that is to be retained found a bound of retained messages reached: nothing of its publish was stored. */
export class RetainedFullError extends Error {
  override readonly name = 'RetainedFullError'

  constructor() {
    super('the retained messages, or those of its user, have reached their bound')
  }
}
