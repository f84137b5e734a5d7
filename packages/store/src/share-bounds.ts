/** What one session, one user and the cluster may have stored; each is a limit of the node (config/share-limits.ts). */
export interface ShareBounds {
  /** Of one session: QoS 2 publishes that are not released. One of any size is taken. */
  readonly inboundQos2BytesMax: number
  readonly sessionsPerUserMax: number
  /** Its n-th session may queue an n-th of it; of any size it may queue one message. */
  readonly queueBytesPerUserMax: number
}

/** Far above everything, and a whole number to Lua. */
const NO_BOUND = 2 ** 50

export const UNBOUNDED: ShareBounds = {
  inboundQos2BytesMax: NO_BOUND,
  sessionsPerUserMax: NO_BOUND,
  queueBytesPerUserMax: NO_BOUND,
}

/** A QoS 2 publish found `inboundQos2BytesMax` reached: it was not kept. */
export class InboundFullError extends Error {
  override readonly name = 'InboundFullError'

  constructor() {
    super('unreleased QoS 2 publishes have reached inboundQos2BytesMax')
  }
}
