import type { Message } from '@breakwater/bus'
import {
  type QoS,
  PacketType,
  encodePublish,
  type PublishFrame,
  encodeWithPacketId,
} from '@breakwater/mqtt'
import type { Connection } from '../connection/connection.ts'
import type { Source } from '../observe/event-cells.ts'
import type { Events } from '../observe/events.ts'
import type { OutgoingPacket } from './exchange.ts'

const DUP = 0x08

/** Writes to one client, counted. */
export class FrameSink {
  readonly connection: Connection
  readonly #events: Events

  constructor(connection: Connection, events: Events) {
    this.connection = connection
    this.#events = events
  }

  get saturated(): boolean {
    return this.connection.writer.saturated
  }

  publish(frame: PublishFrame, qos: QoS, packetId: number, source: Source): void {
    this.#count(PacketType.PUBLISH)
    this.#events.delivered[source][qos].add(1)
    this.connection.writer.writeShared(frame.bytes, frame.packetIdOffset, packetId)
  }

  /** A message of its own encoding: from a queue (perhaps sent before: DUP), or retained. */
  publishMessage(
    message: Message,
    qos: QoS,
    packetId: number,
    source: Source,
    { retain, duplicate }: { readonly retain: boolean; readonly duplicate: boolean },
  ): void {
    const frame = encodePublish(message, qos, retain)
    if (duplicate) frame.bytes[0] = (frame.bytes[0] as number) | DUP
    this.publish(frame, qos, packetId, source)
  }

  /** A retained message at QoS 0. */
  replay(message: Message): void {
    this.publishMessage(message, 0, 0, 'retained', { retain: true, duplicate: false })
  }

  /** Of a topic that the client may not have any more. */
  dropDenied(qos: QoS): void {
    this.#events.dropped('denied', qos)
  }

  dropSlow(qos: QoS): void {
    this.#events.dropped('slow-consumer', qos)
  }

  dropFull(qos: QoS, copies: number): void {
    this.#events.dropped('queue-full', qos, copies)
  }

  /** An acknowledgement that does not fit the message with this packet id. */
  refuse(packet: OutgoingPacket, packetId: number): void {
    const what = `${packet.toUpperCase()} of packet id ${packetId}`
    this.connection.close('protocol-violation', `${what}, whose message wants another answer`)
  }

  pubrel(packetId: number): void {
    this.packetId(PacketType.PUBREL, packetId)
  }

  packetId(type: number, packetId: number): void {
    this.#count(type)
    this.connection.writer.write(encodeWithPacketId(type, packetId))
  }

  frame(bytes: Buffer): void {
    this.#count((bytes[0] as number) >> 4)
    this.connection.writer.write(bytes)
  }

  #count(type: number): void {
    this.#events.packetsOut[type]?.add(1)
  }
}
