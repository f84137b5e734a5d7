/**
 * The head of every payload: who sent it, which one it is, when it was meant to leave and when it
 * did. Big-endian, so that it can be read in a packet capture.
 *
 *   0 magic u32 | 4 run id u32 | 8 publisher u32 | 12 sequence u32 | 16 intended f64 | 24 lag u32
 *
 * Times are microseconds of clock.ts; the time of sending is `intended + lag`.
 */

export const PAYLOAD_HEADER_BYTES = 28

export const PayloadOffset = {
  magic: 0,
  runId: 4,
  publisher: 8,
  sequence: 12,
  intendedUs: 16,
  lagUs: 24,
} as const

export const PAYLOAD_MAGIC = 0x42574631 // "BWF1"

export interface PayloadOptions {
  readonly bytes: number
  readonly runId: number
  readonly publisher: number
  /** Fills what follows the header, so that no link compresses it away. */
  readonly random: () => number
}

/** A payload with its fixed part filled in; sequence and times are written per message. */
export const createPayload = (options: PayloadOptions): Buffer => {
  const payload = Buffer.alloc(options.bytes)
  payload.writeUInt32BE(PAYLOAD_MAGIC, PayloadOffset.magic)
  payload.writeUInt32BE(options.runId, PayloadOffset.runId)
  payload.writeUInt32BE(options.publisher, PayloadOffset.publisher)
  for (let at = PAYLOAD_HEADER_BYTES; at < options.bytes; at++) {
    payload[at] = Math.floor(options.random() * 256)
  }
  return payload
}

/** Reads a big-endian u32 without the checks of `Buffer.readUInt32BE`; the caller has checked. */
export const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
