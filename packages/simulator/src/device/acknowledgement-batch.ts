/**
 * The acknowledgements that one read of one socket calls for, so that they leave in one write.
 * All devices share one batch: it is filled and emptied within a single read.
 */
import type { Socket } from 'node:net'
import { PacketType } from '../wire/packet.ts'

const FRAME_BYTES = 4
const BATCH_BYTES = 16_384

export class AcknowledgementBatch {
  readonly #bytes: Buffer = Buffer.alloc(BATCH_BYTES)
  #length = 0

  /** Adds PUBACK, PUBREC, PUBREL or PUBCOMP; a full batch goes out at once. */
  add(socket: Socket, type: PacketType, packetId: number): void {
    if (this.#length === BATCH_BYTES) this.flush(socket)
    const bytes = this.#bytes
    const at = this.#length
    bytes[at] = (type << 4) | (type === PacketType.pubrel ? 0x02 : 0)
    bytes[at + 1] = 2
    bytes[at + 2] = packetId >> 8
    bytes[at + 3] = packetId & 0xff
    this.#length = at + FRAME_BYTES
  }

  /** Writes what was added; the socket gets a copy, because it may keep the bytes. */
  flush(socket: Socket): void {
    if (this.#length === 0) return
    socket.write(Buffer.from(this.#bytes.subarray(0, this.#length)))
    this.#length = 0
  }
}
