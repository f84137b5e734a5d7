/**
 * The QoS 1 and 2 messages of one publisher that are not acknowledged yet.
 *
 * The packet id follows from the sequence, so a slot is found without a search; a slot that is
 * still taken holds the publisher back. Bound: `size` messages.
 */
import { PacketType, type Qos } from '../wire/packet.ts'

const State = { free: 0, awaitsFirst: 1, awaitsComplete: 2 } as const

/** What an acknowledgement meant. */
export const Acknowledged = { stray: 0, received: 1, complete: 2 } as const

export type Acknowledged = (typeof Acknowledged)[keyof typeof Acknowledged]

export class InflightTable {
  readonly #size: number
  readonly #first: PacketType // what answers the PUBLISH itself
  readonly #states: Uint8Array
  readonly #intendedUs: Float64Array
  readonly #sentUs: Float64Array

  constructor(size: number, qos: Qos) {
    this.#size = size
    this.#first = qos === 1 ? PacketType.puback : PacketType.pubrec
    this.#states = new Uint8Array(size)
    this.#intendedUs = new Float64Array(size)
    this.#sentUs = new Float64Array(size)
  }

  /** The packet id of a message, never 0 [MQTT-2.3.1-1]. */
  packetId(sequence: number): number {
    return (sequence % this.#size) + 1
  }

  hasRoom(sequence: number): boolean {
    return this.#states[sequence % this.#size] === State.free
  }

  open(sequence: number, intendedUs: number, sentUs: number): void {
    const slot = sequence % this.#size
    this.#states[slot] = State.awaitsFirst
    this.#intendedUs[slot] = intendedUs
    this.#sentUs[slot] = sentUs
  }

  /** Takes PUBACK, PUBREC or PUBCOMP. */
  settle(type: PacketType, packetId: number): Acknowledged {
    const slot = packetId - 1
    const state = this.#states[slot]
    if (type === this.#first && state === State.awaitsFirst) {
      if (type === PacketType.pubrec) {
        this.#states[slot] = State.awaitsComplete
        return Acknowledged.received
      }
    } else if (type !== PacketType.pubcomp || state !== State.awaitsComplete) {
      return Acknowledged.stray
    }
    this.#states[slot] = State.free
    return Acknowledged.complete
  }

  /** Times of the message that was settled last under this packet id. */
  intendedUs(packetId: number): number {
    return this.#intendedUs[packetId - 1]!
  }

  sentUs(packetId: number): number {
    return this.#sentUs[packetId - 1]!
  }
}
