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
  /**
   * Properties of MQTT 5 as they go on the wire, checked where the message came in; without what is of one
   * connection or one subscription (topic alias, subscription identifiers) and without the expiry interval.
   */
  readonly properties: Buffer | undefined
  /** ms of Redis' clock; undefined: never. After it no copy may be sent for the first time [MQTT-3.3.2-5]. */
  readonly expiresAt: number | undefined

  constructor(
    topic: string,
    payload: Buffer,
    qos: QoS,
    retain: boolean,
    places?: readonly QueuePlace[],
    properties?: Buffer,
    expiresAt?: number,
  ) {
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
    this.places = places
    this.properties = properties
    this.expiresAt = expiresAt
  }

  /** Bytes that count against a bound of a queue. */
  get bytes(): number {
    return this.topic.length + this.payload.length + (this.properties?.length ?? 0)
  }

  /** The same message, but for this. */
  with({
    payload = this.payload,
    properties = this.properties,
    qos = this.qos,
    retain = this.retain,
    places = this.places,
  }: MessageChange): Message {
    return new Message(this.topic, payload, qos, retain, places, properties, this.expiresAt)
  }

  /**
   * A copy, without places, that does not pin the buffer that payload and properties are slices of. Whatever keeps
   * a message for longer than a turn of the event loop keeps this one.
   */
  detached(qos: QoS = this.qos, retain: boolean = this.retain): Message {
    const { topic, payload, properties, expiresAt } = this
    return new Message(
      topic,
      Buffer.from(payload),
      qos,
      retain,
      undefined,
      properties && Buffer.from(properties),
      expiresAt,
    )
  }
}

export interface MessageChange {
  readonly payload?: Buffer
  readonly properties?: Buffer
  readonly qos?: QoS
  readonly retain?: boolean
  readonly places?: readonly QueuePlace[]
}
