/**
 * Splits the byte stream of one connection into frames.
 *
 * In: chunks as they were read. Out: one frame at a time, on demand, so that whoever reads can stop between
 * two frames. A frame that lies whole in a chunk is not copied: it is `buffer` from `start` to `end`, valid
 * until the next `next()`. A frame that spans chunks is collected in a buffer of its exact length. Bounds:
 * `packetBytesMax`, checked as soon as the length is known, before the body arrives.
 *
 * Until `connected` the only frame is a CONNECT: any other is refused by its first byte, the bound is
 * `connectBytesMax`, and what is collected takes no more than twice what has arrived.
 */
import type { ProtocolLevel } from './connect-frame.ts'
import type { PacketFault } from './packet-fault.ts'
import { beforeConnectFaults, firstByteFaults, type FirstByteFaults } from './packet-type.ts'

const EMPTY = Buffer.alloc(0)
/** First byte and up to four bytes of remaining length. */
const HEADER_BYTES_MAX = 5
/** Of a CONNECT that spans chunks, at first: most are shorter. */
const CONNECT_BYTES_MIN = 256

export interface FrameBounds {
  readonly packetBytesMax: number
  readonly connectBytesMax: number
}

export class FrameReader {
  /** The current frame: `buffer[start]` is its first byte, its body goes from `body` to `end`. */
  buffer: Buffer = EMPTY
  start = 0
  body = 0
  end = 0
  /** Set when the stream is broken; nothing can be read after it. */
  fault: PacketFault | undefined
  faultDetail: string | undefined

  readonly #packetBytesMax: number
  #bytesMax: number
  #faults: FirstByteFaults = beforeConnectFaults
  #chunk: Buffer = EMPTY
  #offset = 0
  /** A frame whose end has not arrived: its collected bytes, or just a header that is cut short. */
  #partial: Buffer | undefined
  #partialBytes = 0
  /** 0 while its length is not known. */
  #frameBytes = 0

  constructor({ packetBytesMax, connectBytesMax }: FrameBounds) {
    this.#packetBytesMax = packetBytesMax
    this.#bytesMax = Math.min(connectBytesMax, packetBytesMax)
  }

  /** The CONNECT has been read: other packets follow. */
  connected(protocolLevel: ProtocolLevel): void {
    this.#bytesMax = this.#packetBytesMax
    this.#faults = firstByteFaults[protocolLevel]
  }

  /** Whether bytes are there that no frame has used. */
  get hasMore(): boolean {
    return this.#offset < this.#chunk.length
  }

  /** Gives the next chunk. What is left of the one before (reading was stopped in it) stays in front. */
  push(chunk: Buffer): void {
    const rest = this.#chunk.length - this.#offset
    this.#chunk = rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#offset), chunk])
    this.#offset = 0
  }

  /**
   * Copies what has not been used yet (`frameWaits`: the current frame as well), because the chunk that it
   * lies in is about to be used again.
   */
  keep(frameWaits: boolean): void {
    const inChunk = frameWaits && this.buffer === this.#chunk
    const from = inChunk ? this.start : this.#offset
    if (from === this.#chunk.length) return
    this.#chunk = Buffer.from(this.#chunk.subarray(from))
    this.#offset -= from
    if (!inChunk) return
    this.buffer = this.#chunk
    this.start -= from
    this.body -= from
    this.end -= from
  }

  /** True if a frame is there; false if more bytes are needed or the stream is broken (`fault`). */
  next(): boolean {
    if (this.fault !== undefined) return false
    if (this.#partial !== undefined) return this.#continuePartial()
    const chunk = this.#chunk
    const start = this.#offset
    if (start === chunk.length) return this.#exhausted()
    const body = this.#readHeader(chunk, start, chunk.length)
    if (body === 0) return this.#keepRest(start, 0)
    if (this.end > chunk.length) return this.#keepRest(start, this.end - start)
    this.buffer = chunk
    this.start = start
    this.body = body
    this.#offset = this.end
    return true
  }

  /**
   * Reads a fixed header. Returns where the body begins and sets `end`, or 0 if bytes are missing or the
   * header is broken.
   */
  #readHeader(bytes: Buffer, start: number, limit: number): number {
    const fault = this.#faults[bytes[start] as number]
    if (fault !== undefined)
      return this.#fail(
        fault,
        this.#expectsConnect ? 'the first packet is not a CONNECT' : undefined,
      )
    let length = 0
    let shift = 0
    for (let index = start + 1; index < limit; index += 1) {
      const byte = bytes[index] as number
      length |= (byte & 127) << shift
      if (byte < 128) {
        const body = index + 1
        const frameBytes = body - start + length
        if (frameBytes > this.#bytesMax)
          return this.#fail('packet-too-large', this.#sizeFault(frameBytes))
        this.end = body + length
        return body
      }
      shift += 7
      if (shift > 21) return this.#fail('malformed')
    }
    return 0
  }

  get #expectsConnect(): boolean {
    return this.#faults === beforeConnectFaults
  }

  #sizeFault(frameBytes: number): string {
    const which = this.#expectsConnect && this.#bytesMax < this.#packetBytesMax
    const [what, limit] = which ? ['a CONNECT', 'connectBytesMax'] : ['a packet', 'packetBytesMax']
    return `${what} of ${frameBytes} bytes; ${limit} is ${this.#bytesMax}`
  }

  #fail(fault: PacketFault, detail?: string): 0 {
    this.fault = fault
    this.faultDetail = detail
    this.#chunk = EMPTY
    this.#partial = undefined
    return 0
  }

  /** Collects what the chunk holds of a frame; `frameBytes` 0: not even its length is known yet. */
  #keepRest(start: number, frameBytes: number): false {
    if (this.fault !== undefined) return false
    this.#frameBytes = frameBytes
    const partial = Buffer.allocUnsafeSlow(
      frameBytes === 0 ? HEADER_BYTES_MAX : this.#roomFor(this.#chunk.length - start),
    )
    this.#partialBytes = this.#chunk.copy(partial, 0, start)
    this.#partial = partial
    return this.#exhausted()
  }

  /** How large the buffer is to be that collects a frame of which so much is there. */
  #roomFor(bytes: number): number {
    if (!this.#expectsConnect) return this.#frameBytes
    return Math.min(this.#frameBytes, Math.max(CONNECT_BYTES_MIN, bytes * 2))
  }

  #continuePartial(): boolean {
    let partial = this.#partial as Buffer
    while (this.#frameBytes === 0) {
      // The header itself was cut: take one byte at a time until the length is known.
      if (this.#offset === this.#chunk.length) return this.#exhausted()
      partial[this.#partialBytes] = this.#chunk[this.#offset] as number
      this.#partialBytes += 1
      this.#offset += 1
      const body = this.#readHeader(partial, 0, this.#partialBytes)
      if (this.fault !== undefined) return false
      if (body === 0) continue
      this.#frameBytes = this.end
      partial = this.#grow(partial, this.#partialBytes)
    }
    const arrived = this.#partialBytes + this.#chunk.length - this.#offset
    if (partial.length < Math.min(arrived, this.#frameBytes)) partial = this.#grow(partial, arrived)
    const copied = this.#chunk.copy(partial, this.#partialBytes, this.#offset)
    this.#partialBytes += copied
    this.#offset += copied
    if (this.#partialBytes < this.#frameBytes) return this.#exhausted()
    this.#partial = undefined
    this.buffer = partial
    this.start = 0
    this.body = this.#readHeader(partial, 0, partial.length)
    return true
  }

  #grow(partial: Buffer, bytes: number): Buffer {
    const larger = Buffer.allocUnsafeSlow(this.#roomFor(bytes))
    partial.copy(larger, 0, 0, this.#partialBytes)
    this.#partial = larger
    return larger
  }

  /** Lets go of the chunk: an idle connection must not pin the large buffer it was read into. */
  #exhausted(): false {
    this.#chunk = EMPTY
    this.buffer = EMPTY
    this.#offset = 0
    return false
  }
}
