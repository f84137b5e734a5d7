/** Places of frames that have left, at most. */
const COMPACT_AT = 1_024
const GONE = Buffer.alloc(0)

/** Frames that wait for one socket, with the packet ids that are to be put into them. */
export class FrameQueue {
  readonly #frames: Buffer[] = []
  /** Beside each frame: where to put its own packet id, and which (0: as it is). */
  readonly #packetIdOffsets: number[] = []
  readonly #packetIds: number[] = []
  #head = 0

  get length(): number {
    return this.#frames.length - this.#head
  }

  push(frame: Buffer, packetIdOffset: number, packetId: number): void {
    this.#frames.push(frame)
    this.#packetIdOffsets.push(packetIdOffset)
    this.#packetIds.push(packetId)
  }

  /** The next frames as one buffer of about `bytesMax`; a single frame without a packet id is not copied. */
  take(bytesMax: number): Buffer {
    const frames = this.#frames
    const first = this.#head
    let end = first
    let bytes = 0
    while (end < frames.length) {
      const { length } = frames[end] as Buffer
      if (bytes > 0 && bytes + length > bytesMax) break
      bytes += length
      end += 1
    }
    const chunk =
      end === first + 1 && this.#packetIds[first] === 0
        ? (frames[first] as Buffer)
        : this.#join(first, end, bytes)
    this.#head = end
    if (end === frames.length) this.clear()
    else this.#forget(first, end)
    return chunk
  }

  /** A client that is always a little behind never empties its queue: what has left must go all the same. */
  #forget(first: number, end: number): void {
    this.#frames.fill(GONE, first, end)
    if (end < COMPACT_AT) return
    this.#frames.splice(0, this.#head)
    this.#packetIdOffsets.splice(0, this.#head)
    this.#packetIds.splice(0, this.#head)
    this.#head = 0
  }

  clear(): void {
    this.#frames.length = 0
    this.#packetIdOffsets.length = 0
    this.#packetIds.length = 0
    this.#head = 0
  }

  #join(first: number, end: number, bytes: number): Buffer {
    const chunk = Buffer.allocUnsafe(bytes)
    let offset = 0
    for (let index = first; index < end; index += 1) {
      const frame = this.#frames[index] as Buffer
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
