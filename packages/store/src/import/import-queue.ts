/**
 * The queue of a session that is imported, within the bounds of a queue here: which message gets which position,
 * and which are dropped. In: messages in order. Out: entries to write, and the sums of what stays. Bound: two
 * numbers per message that stays.
 *
 * A message that was sent before gets a position from which its packet id follows, so that its exchange goes on;
 * the positions between are left out.
 */
import { encodeMessage, type Message } from '@breakwater/bus'
import { packetIdOf, SHARED_PACKET_ID_MIN, type QueueBounds } from '../store.ts'

export interface StagedMessage {
  readonly position: number
  readonly bytes: Buffer
}

export class ImportQueue {
  readonly #bounds: QueueBounds
  readonly #positions: number[] = []
  readonly #sizes: number[] = []
  #first = 0
  #full = false
  /** Of all messages, also of those that were dropped. */
  last = 0
  /** Up to here messages may have been sent. */
  sent = 0
  bytes = 0
  dropped = 0
  /** Sent before under a packet id that no position has. */
  renumbered = 0

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds
  }

  get count(): number {
    return this.#positions.length - this.#first
  }

  /** The lowest position that stays. */
  get lowest(): number {
    return this.#positions[this.#first] ?? this.last + 1
  }

  /** Undefined: it is dropped. */
  add(message: Message, packetId: number | undefined): StagedMessage | undefined {
    const bytes = encodeMessage(message)
    const { queueMessagesMax, queueBytesMax, queuePolicy = 'drop-oldest' } = this.#bounds
    const isFull = (count: number, held: number): boolean =>
      count > queueMessagesMax || (held > queueBytesMax && count > 1)
    if (queuePolicy !== 'drop-oldest' && isFull(this.count + 1, this.bytes + bytes.length))
      this.#full = true
    // What comes behind one that was dropped would be out of order.
    if (this.#full) {
      this.dropped += 1
      return undefined
    }
    const position = this.#positionFor(packetId)
    this.last = position
    if (packetId !== undefined) this.sent = position
    this.#positions.push(position)
    this.#sizes.push(bytes.length)
    this.bytes += bytes.length
    while (isFull(this.count, this.bytes)) {
      this.bytes -= this.#sizes[this.#first] ?? 0
      this.#first += 1
      this.dropped += 1
    }
    if (this.#first > queueMessagesMax) this.#forgetDropped()
    return { position, bytes }
  }

  #positionFor(packetId: number | undefined): number {
    const next = this.last + 1
    if (packetId === undefined) return next
    if (packetId >= SHARED_PACKET_ID_MIN || packetId < 1) {
      this.renumbered += 1
      return next
    }
    const ahead = packetId - packetIdOf(next)
    return next + (ahead < 0 ? ahead + SHARED_PACKET_ID_MIN - 1 : ahead)
  }

  #forgetDropped(): void {
    this.#positions.splice(0, this.#first)
    this.#sizes.splice(0, this.#first)
    this.#first = 0
  }
}
