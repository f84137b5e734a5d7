/**
 * Cuts the byte stream of one connection into MQTT frames.
 *
 * In: chunks of a read buffer that all connections share, valid only during the call.
 * Out: for each frame its first byte and the range of its body, in the chunk itself or, for a
 * frame that arrived in pieces, in a carry buffer of this connection. Nothing is allocated for
 * frames that arrive whole. Bounds: a frame of more than `frameBytesMax` bytes is refused.
 */
import { WireError } from './packet.ts'

/** Takes one frame; the bytes are valid only during the call. */
export interface FrameSink {
  onFrame(firstByte: number, bytes: Buffer, start: number, end: number): void
}

const HEADER_BYTES_MAX = 5
const CARRY_KEPT_BYTES = 65_536 // a larger carry buffer is given back after use
const EMPTY: Buffer = Buffer.alloc(0)

const FRAME_BYTES_MAX = 4 * 1024 * 1024

export class FrameReader {
  readonly #frameBytesMax: number
  #carry: Buffer = EMPTY
  #carried = 0
  #bodyStart = 0 // of the frame last measured

  constructor(frameBytesMax: number = FRAME_BYTES_MAX) {
    this.#frameBytesMax = frameBytesMax
  }

  /** Reads `length` bytes of `chunk`; throws WireError on a length that cannot be. */
  push(chunk: Buffer, length: number, sink: FrameSink): void {
    let at = this.#carried === 0 ? 0 : this.#completeCarried(chunk, length, sink)
    while (at < length) {
      const total = this.#measure(chunk, at, length)
      if (total === 0 || at + total > length) break
      sink.onFrame(chunk[at]!, chunk, this.#bodyStart, at + total)
      at += total
    }
    if (at < length) this.#stash(chunk, at, length)
  }

  /** Length of the frame at `start`, or 0 while its header is not complete. */
  #measure(bytes: Buffer, start: number, end: number): number {
    let length = 0
    let scale = 1
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at]!
      length += (byte & 0x7f) * scale
      if (byte < 0x80) {
        this.#bodyStart = at + 1
        const total = at + 1 - start + length
        if (total > this.#frameBytesMax) throw new WireError(`frame of ${total} bytes`)
        return total
      }
      if (at - start === HEADER_BYTES_MAX - 1) throw new WireError('malformed remaining length')
      scale *= 128
    }
    return 0
  }

  /** Finishes the frame begun in earlier chunks; returns how much of this chunk it took. */
  #completeCarried(chunk: Buffer, length: number, sink: FrameSink): number {
    let taken = 0
    let total = this.#measure(this.#carry, 0, this.#carried)
    while (total === 0 && taken < length) {
      this.#stash(chunk, taken, taken + 1)
      taken += 1
      total = this.#measure(this.#carry, 0, this.#carried)
    }
    if (total === 0) return taken
    const more = Math.min(total - this.#carried, length - taken)
    this.#stash(chunk, taken, taken + more)
    taken += more
    if (this.#carried < total) return taken
    this.#measure(this.#carry, 0, total)
    this.#carried = 0
    const carry = this.#carry
    if (carry.length > CARRY_KEPT_BYTES) this.#carry = EMPTY
    sink.onFrame(carry[0]!, carry, this.#bodyStart, total)
    return taken
  }

  #stash(chunk: Buffer, start: number, end: number): void {
    const needed = this.#carried + end - start
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(64, 2 ** Math.ceil(Math.log2(needed))))
      this.#carry.copy(grown, 0, 0, this.#carried)
      this.#carry = grown
    }
    chunk.copy(this.#carry, this.#carried, start, end)
    this.#carried = needed
  }
}
