/**
 * What one client publishes: numbered messages, a bounded number under way, sent again with their packet id
 * where the session goes on [MQTT-4.4.0-1], given up where it does not.
 */
import type { Packet } from '../kit/wire-decoder.ts'
import { encodePublish, encodePubrel, type QoS } from '../kit/wire-encoder.ts'
import type { DeviceConnection } from './device-connection.ts'
import type { Recorder } from './history.ts'
import type { DevicePlan } from './plan.ts'

interface UnderWay {
  readonly message: string
  readonly topic: string
  readonly qos: 1 | 2
  readonly retain: boolean
  released: boolean
}

const UNDER_WAY_MAX = 50
const FILL = 'x'.repeat(48)

export class Outbox {
  readonly #plan: DevicePlan
  readonly #recorder: Recorder
  /** By packet id, in the order in which they were sent first. */
  readonly #underWay = new Map<number, UnderWay>()
  #count = 0
  #lastPacketId = 0

  constructor(plan: DevicePlan, recorder: Recorder) {
    this.#plan = plan
    this.#recorder = recorder
  }

  get waiting(): number {
    return this.#underWay.size
  }

  publishNext(connection: DeviceConnection): void {
    if (this.#underWay.size >= UNDER_WAY_MAX) return
    const { id, publishes, topics, retainEvery } = this.#plan
    const number = this.#count
    this.#count += 1
    const qos = publishes[number % publishes.length] as QoS
    const topic = topics[number % topics.length] as string
    const retain = retainEvery > 0 && number % retainEvery === retainEvery - 1
    const message = `${id}:${number}`
    const packetId = qos === 0 ? 0 : this.#freePacketId()
    if (qos !== 0) this.#underWay.set(packetId, { message, topic, qos, retain, released: false })
    this.#send(connection, { message, topic, qos, retain }, packetId, false)
  }

  /** After CONNACK: what has no last acknowledgement is sent again, or forgotten with its session. */
  resume(connection: DeviceConnection, sessionPresent: boolean): void {
    if (!sessionPresent) this.#underWay.clear()
    for (const [packetId, entry] of this.#underWay) {
      if (entry.released) this.#release(connection, packetId, entry.message)
      else this.#send(connection, entry, packetId, true)
    }
  }

  /** What an old connection says is noted; only the one in use goes on with it. */
  step(packet: Packet, connection: DeviceConnection, inUse: boolean): void {
    if (packet.type !== 'puback' && packet.type !== 'pubrec' && packet.type !== 'pubcomp') return
    const { type, packetId } = packet
    const entry = this.#underWay.get(packetId)
    if (entry === undefined) return
    const { message } = entry
    const client = this.#plan.id
    this.#recorder.record({ kind: type, client, connection: connection.number, message, packetId })
    if (!inUse) return
    if (type !== 'pubrec') this.#underWay.delete(packetId)
    else {
      entry.released = true
      this.#release(connection, packetId, message)
    }
  }

  #send(
    connection: DeviceConnection,
    { message, topic, qos, retain }: Pick<UnderWay, 'message' | 'topic' | 'retain'> & { qos: QoS },
    packetId: number,
    dup: boolean,
  ): void {
    this.#recorder.record({
      kind: 'publish',
      client: this.#plan.id,
      connection: connection.number,
      message,
      topic,
      qos,
      retain,
      dup,
      packetId,
    })
    const fields = { topic, payload: `${message} ${FILL}`, qos, retain, dup }
    connection.send(encodePublish(qos === 0 ? fields : { ...fields, packetId }))
  }

  #release(connection: DeviceConnection, packetId: number, message: string): void {
    const facts = { client: this.#plan.id, connection: connection.number, message, packetId }
    this.#recorder.record({ kind: 'pubrel', ...facts })
    connection.send(encodePubrel(packetId))
  }

  #freePacketId(): number {
    do this.#lastPacketId = (this.#lastPacketId % 0xffff) + 1
    while (this.#underWay.has(this.#lastPacketId))
    return this.#lastPacketId
  }
}
