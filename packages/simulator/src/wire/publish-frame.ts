/**
 * The publish frames of one publisher, encoded once and patched in place.
 *
 * A slab is one buffer of equal frames side by side. To send k messages the first k frames get
 * their sequence, times and packet id, and one write takes them all. The slab belongs to the
 * socket until that write is through; it grows by doubling up to `SLAB_BYTES_MAX`, so a publisher
 * that sends one message a second keeps a single frame.
 */
import { PayloadOffset } from '../device/payload.ts'
import { encodePublish, type PublishFields } from './encoder.ts'

const SLAB_BYTES_MAX = 65_536
const LAG_US_MAX = 0xffff_ffff

export class PublishSlab {
  readonly frameBytes: number
  /** Most frames that one write can carry. */
  readonly capacity: number
  readonly #packetIdAt: number // 0: QoS 0, no packet id
  readonly #payloadAt: number
  #bytes: Buffer
  #view: DataView
  #count = 0

  constructor(fields: PublishFields) {
    const frame = encodePublish(fields)
    this.frameBytes = frame.length
    this.capacity = Math.max(1, Math.floor(SLAB_BYTES_MAX / frame.length))
    this.#payloadAt = frame.length - fields.payload.length
    this.#packetIdAt = fields.qos > 0 ? this.#payloadAt - 2 : 0
    this.#bytes = frame
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  }

  /** Frames staged since the last `take`. */
  get count(): number {
    return this.#count
  }

  /** Prepares one more frame. The caller has checked `count < capacity`. */
  stage(sequence: number, intendedUs: number, sentUs: number, packetId: number): void {
    const start = this.#count * this.frameBytes
    if (start >= this.#bytes.length) this.#grow()
    if (this.#packetIdAt > 0) this.#view.setUint16(start + this.#packetIdAt, packetId)
    const payload = start + this.#payloadAt
    this.#view.setUint32(payload + PayloadOffset.sequence, sequence)
    this.#view.setFloat64(payload + PayloadOffset.intendedUs, intendedUs)
    const lagUs = Math.min(Math.max(0, sentUs - intendedUs), LAG_US_MAX)
    this.#view.setUint32(payload + PayloadOffset.lagUs, lagUs)
    this.#count += 1
  }

  /** The staged frames, to be written before anything is staged again. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#count * this.frameBytes)
    this.#count = 0
    return bytes
  }

  #grow(): void {
    const held = this.#bytes.length / this.frameBytes
    const frames = Math.min(held * 2, this.capacity)
    const grown = Buffer.allocUnsafeSlow(frames * this.frameBytes)
    for (let frame = 0; frame < frames; frame++) {
      this.#bytes.copy(grown, frame * this.frameBytes, 0, this.frameBytes)
    }
    // The frames staged so far differ from each other: bring them over as they are.
    this.#bytes.copy(grown, 0)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.length)
  }
}
