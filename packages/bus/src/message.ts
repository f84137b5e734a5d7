import type { QoS } from '@breakwater/mqtt'

/** Where one session's queue has a message. */
export interface QueuePlace {
  readonly clientId: string
  /** Of the session's owner when it was queued: at another one the position may mean something else. */
  readonly epoch: number
  readonly position: number
  readonly qos: QoS
}

/**
 * One application message, parsed once and shared by everything that handles it. It is never changed
 * after it was made; `retain` is what the publisher asked for, not the flag of a delivery.
 */
export class Message {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean
  /** Of the queues that have it, as far as its publisher's node tells others. */
  readonly places: readonly QueuePlace[] | undefined

  constructor(
    topic: string,
    payload: Buffer,
    qos: QoS,
    retain: boolean,
    places?: readonly QueuePlace[],
  ) {
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
    this.places = places
  }

  /** Bytes that count against a bound of a queue. */
  get bytes(): number {
    return this.topic.length + this.payload.length
  }

  /**
   * A copy that does not pin the buffer that the payload is a slice of. Whatever keeps a message for longer
   * than a turn of the event loop keeps this one.
   */
  detached(qos: QoS = this.qos, retain: boolean = this.retain): Message {
    return new Message(this.topic, Buffer.from(this.payload), qos, retain)
  }
}
