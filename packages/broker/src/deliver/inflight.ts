import {
  OUTGOING,
  type OutgoingAction,
  type OutgoingPacket,
  type OutgoingState,
} from './exchange.ts'

interface Exchange {
  position: number
  /** What the queue gets back. */
  bytes: number
  state: OutgoingState
}

export interface InflightOptions {
  /**
   * An earlier connection of the session may have used the same packet ids for other messages, and its client
   * may acknowledge those now: one acknowledgement per packet id that does not fit is taken for such a one.
   */
  readonly isReused?: boolean
}

/**
 * The exchanges of one session that its client has not finished, by packet id. Bound: `windowMax`
 * (`inflightMessagesMax`), also of the late ones that are expected; where packet ids are reused, one mark for
 * each of them.
 */
export class Inflight {
  readonly #windowMax: number
  #exchanges: Map<number, Exchange> | undefined
  /** PUBREC was for no exchange of this connection, PUBREL was the answer: PUBCOMP is still to come. */
  #answered: Set<number> | undefined
  readonly #excused: Set<number> | undefined

  constructor(windowMax: number, { isReused = false }: InflightOptions = {}) {
    this.#windowMax = windowMax
    if (isReused) this.#excused = new Set()
  }

  get size(): number {
    return this.#exchanges?.size ?? 0
  }

  /** How many more messages may be sent now. */
  get room(): number {
    return this.#windowMax - this.size
  }

  has(packetId: number): boolean {
    return this.#exchanges?.has(packetId) === true
  }

  start(packetId: number, position: number, qos: 1 | 2, bytes: number = 0): void {
    const state = qos === 1 ? 'awaiting-puback' : 'awaiting-pubrec'
    this.#exchanges ??= new Map()
    this.#exchanges.set(packetId, { position, bytes, state })
  }

  /** A message that was released before the session was resumed: only PUBCOMP is missing. */
  restoreReleased(packetId: number): void {
    this.#exchanges ??= new Map()
    this.#exchanges.set(packetId, { position: 0, bytes: 0, state: 'awaiting-pubcomp' })
  }

  /** Takes a packet of the client; returns what to do, and position and bytes of the message. */
  step(
    packetId: number,
    packet: OutgoingPacket,
  ): { action: OutgoingAction; position: number; bytes: number } {
    const exchange = this.#exchanges?.get(packetId)
    const { action, next } = OUTGOING[exchange?.state ?? 'free'][packet]
    if (packet === 'pubrec' && exchange === undefined) this.#expectPubcomp(packetId)
    if (action === 'close' && this.#isLate(packetId, packet))
      return { action: 'ignore', position: 0, bytes: 0 }
    if (exchange !== undefined) {
      if (next === 'free') this.#exchanges?.delete(packetId)
      else exchange.state = next
    }
    return { action, position: exchange?.position ?? 0, bytes: exchange?.bytes ?? 0 }
  }
  #expectPubcomp(packetId: number): void {
    this.#answered ??= new Set()
    if (this.#answered.size < this.#windowMax) this.#answered.add(packetId)
  }

  /** Whether it is of an earlier message with this packet id. */
  #isLate(packetId: number, packet: OutgoingPacket): boolean {
    if (packet === 'pubcomp' && this.#answered?.delete(packetId) === true) return true
    if (this.#excused === undefined || this.#excused.has(packetId)) return false
    this.#excused.add(packetId)
    return true
  }
}
