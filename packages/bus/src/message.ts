/** Quality of service of MQTT: at most once, at least once, exactly once. */
export type QoS = 0 | 1 | 2

/**
 * One application message, parsed once and shared by everything that handles it. It is never changed
 * after it was made; `retain` is what the publisher asked for, not the flag of a delivery.
 */
export class Message {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean

  constructor(topic: string, payload: Buffer, qos: QoS, retain: boolean) {
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
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
