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

/**
 * The exchanges of one session that its client has not finished, by packet id. Bound: `windowMax`
 * (`inflightMessagesMax`).
 */
export class Inflight {
  readonly #windowMax: number
  #exchanges: Map<number, Exchange> | undefined

  constructor(windowMax: number) {
    this.#windowMax = windowMax
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
    if (exchange !== undefined) {
      if (next === 'free') this.#exchanges?.delete(packetId)
      else exchange.state = next
    }
    return { action, position: exchange?.position ?? 0, bytes: exchange?.bytes ?? 0 }
  }
}
