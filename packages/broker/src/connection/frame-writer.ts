/**
 * The write queue of one connection: the frames of one event-loop turn leave in one write.
 *
 * In: whole frames, shared ones with the packet id that this client is to see. Out: the socket. While the
 * socket is full nothing is written; the queue grows to its bound, and `saturated` tells those who deliver.
 * Bounds: `outboundMessagesMax`, `outboundBytesMax`. No timer and no promise per frame.
 */
import type { Duplex } from 'node:stream'
import type { TurnFlusher } from './turn-flusher.ts'

export interface WriteBounds {
  readonly outboundMessagesMax: number
  readonly outboundBytesMax: number
}

export interface WriteCounters {
  /** Bytes and writes of this listener and node, as metric cells. */
  readonly bytes: { value: number }
  readonly writes: { value: number }
}

/** One write at most: a slow link shows progress after each of them. */
const WRITE_BYTES_MAX = 65_536

export class FrameWriter {
  readonly #socket: Duplex
  readonly #flusher: TurnFlusher
  readonly #bounds: WriteBounds
  readonly #counters: WriteCounters
  #frames: Buffer[] = []
  /** Beside each frame: where to put its own packet id, and which (0: as it is). */
  #packetIdOffsets: number[] = []
  #packetIds: number[] = []
  #head = 0
  #bytes = 0
  #scheduled = false
  #full = false
  #closed = false
  /** How often a full socket has taken everything: progress, for the sweep. */
  drains = 0
  /** Called after each of them, when the queue is written out. */
  onDrain: (() => void) | undefined

  constructor(socket: Duplex, flusher: TurnFlusher, bounds: WriteBounds, counters: WriteCounters) {
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

  /** Whether the bound is reached: what can be dropped is to be dropped, what can wait is to wait. */
  get saturated(): boolean {
    return (
      this.#bytes >= this.#bounds.outboundBytesMax ||
      this.#frames.length - this.#head >= this.#bounds.outboundMessagesMax
    )
  }

  write(frame: Buffer): void {
    this.writeShared(frame, 0, 0)
  }

  /** A frame that others get too; its packet id is put into this connection's copy. */
  writeShared(frame: Buffer, packetIdOffset: number, packetId: number): void {
    if (this.#closed) return
    this.#frames.push(frame)
    this.#packetIdOffsets.push(packetIdOffset)
    this.#packetIds.push(packetId)
    this.#bytes += frame.length
    if (this.#scheduled || this.#full) return
    this.#scheduled = true
    this.#flusher.add(this)
  }

  /** Writes what waits, as far as the socket takes it. */
  flush(): void {
    this.#scheduled = false
    while (this.#head < this.#frames.length && !this.#full) {
      const chunk = this.#nextChunk()
      this.#bytes -= chunk.length
      this.#counters.writes.value += 1
      this.#counters.bytes.value += chunk.length
      if (this.#socket.write(chunk)) continue
      this.#full = true
      this.#socket.once('drain', this.#drained)
    }
    if (this.#head === this.#frames.length) this.#clear()
  }

  readonly #drained = (): void => {
    this.#full = false
    this.drains += 1
    this.flush()
    if (!this.#full) this.onDrain?.()
  }

  /** Drops what waits and whatever comes: the connection is over. */
  discard(): void {
    this.#closed = true
    this.#clear()
    this.#bytes = 0
    this.onDrain = undefined
  }

  #clear(): void {
    this.#frames.length = 0
    this.#packetIdOffsets.length = 0
    this.#packetIds.length = 0
    this.#head = 0
  }

  /** The next frames as one buffer; a single frame that needs no packet id is not copied. */
  #nextChunk(): Buffer {
    const frames = this.#frames
    const first = this.#head
    let end = first
    let bytes = 0
    while (end < frames.length) {
      const length = (frames[end] as Buffer).length
      if (bytes > 0 && bytes + length > WRITE_BYTES_MAX) break
      bytes += length
      end += 1
    }
    this.#head = end
    if (end === first + 1 && this.#packetIds[first] === 0) return frames[first] as Buffer
    const chunk = Buffer.allocUnsafe(bytes)
    let offset = 0
    for (let index = first; index < end; index += 1) {
      const frame = frames[index] as Buffer
      chunk.set(frame, offset)
      const packetId = this.#packetIds[index] as number
      if (packetId !== 0) {
        const at = offset + (this.#packetIdOffsets[index] as number)
        chunk[at] = packetId >> 8
        chunk[at + 1] = packetId & 255
      }
      offset += frame.length
    }
    return chunk
  }
}
