/**
 * The write queue of one connection: the frames of one event-loop turn leave in one write.
 *
 * In: whole frames, shared ones with the packet id that this client is to see. Out: the socket. While the
 * socket is full nothing is written; the queue grows to its bound, and `saturated` tells those who deliver.
 * Bounds: `outboundMessagesMax`, `outboundBytesMax`. No timer and no promise per frame.
 */
import type { Duplex } from 'node:stream'
import type { Counter } from '@breakwater/metrics'
import type { FrameQueue } from './frame-queue.ts'
import type { TurnFlusher } from './turn-flusher.ts'

export interface WriteBounds {
  readonly outboundMessagesMax: number
  readonly outboundBytesMax: number
}

export interface WriteCounters {
  /** Bytes and writes of this listener and node, as metric cells. */
  readonly bytes: Counter
  readonly writes: Counter
}

/** One write at most: a slow link shows progress after each of them. */
const WRITE_BYTES_MAX = 65_536
/** PINGREQ and PINGRESP; every other packet of a session but DISCONNECT is longer. */
export const PING_BYTES = 2

export class FrameWriter {
  readonly #socket: Duplex
  readonly #flusher: TurnFlusher
  readonly #bounds: WriteBounds
  readonly #counters: WriteCounters
  /** Told when a full socket has taken everything. */
  readonly #owner: { drained(): void }
  /** Borrowed from the flusher while there is something in it: most connections are idle most of the time. */
  #queue: FrameQueue | undefined
  #bytes = 0
  #scheduled = false
  #full = false
  #closed = false
  /** How often a full socket has taken everything: progress, for the sweep. */
  drains = 0
  /** More than a PINGRESP was written since somebody set it to false. */
  active = false

  constructor(
    socket: Duplex,
    flusher: TurnFlusher,
    bounds: WriteBounds,
    counters: WriteCounters,
    owner: { drained(): void },
  ) {
    this.#owner = owner
    this.#socket = socket
    this.#flusher = flusher
    this.#bounds = bounds
    this.#counters = counters
  }

  /** Bytes that wait here; what the socket holds is not counted. */
  get queuedBytes(): number {
    return this.#bytes
  }

  /** Whether the socket has not taken the last write yet. */
  get full(): boolean {
    return this.#full
  }

  /**
   * Whether the bound is reached and the socket takes no more: what can be dropped is to be dropped, what can
   * wait is to wait. A burst that a willing socket takes is written in between and saturates nothing.
   */
  get saturated(): boolean {
    if (!this.#overBound()) return false
    if (!this.#full) this.flush()
    return this.#overBound()
  }

  #overBound(): boolean {
    return (
      this.#bytes >= this.#bounds.outboundBytesMax ||
      (this.#queue !== undefined && this.#queue.length >= this.#bounds.outboundMessagesMax)
    )
  }

  write(frame: Buffer): void {
    this.writeShared(frame, 0, 0)
  }

  /** A frame that others get too; its packet id is put into this connection's copy. */
  writeShared(frame: Buffer, packetIdOffset: number, packetId: number): void {
    if (this.#closed) return
    this.#queue ??= this.#flusher.borrow()
    this.#queue.push(frame, packetIdOffset, packetId)
    this.#bytes += frame.length
    this.#flusher.queued += 1
    if (this.#scheduled || this.#full) return
    this.#scheduled = true
    this.#flusher.add(this)
  }

  /** Writes what waits, as far as the socket takes it. */
  flush(): void {
    this.#scheduled = false
    const queue = this.#queue
    if (queue === undefined) return
    while (queue.length > 0 && !this.#full) {
      const chunk = queue.take(WRITE_BYTES_MAX)
      this.#bytes -= chunk.length
      if (chunk.length > PING_BYTES) this.active = true
      this.#counters.writes.add(1)
      this.#counters.bytes.add(chunk.length)
      if (this.#socket.write(chunk)) continue
      this.#full = true
      this.#socket.once('drain', () => this.#drained())
    }
    if (queue.length === 0) this.#giveBack()
  }

  #drained(): void {
    this.#full = false
    this.drains += 1
    this.flush()
    if (!this.#full && !this.#closed) this.#owner.drained()
  }

  /** Drops what waits and whatever comes: the connection is over. */
  discard(): void {
    this.#closed = true
    this.#giveBack()
    this.#bytes = 0
  }

  #giveBack(): void {
    if (this.#queue !== undefined) this.#flusher.giveBack(this.#queue)
    this.#queue = undefined
  }
}
