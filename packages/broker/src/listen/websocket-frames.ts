/**
 * Frames of WebSocket (RFC 6455, section 5.2) around what a node sends: one binary message, whole and unmasked,
 * per MQTT packet, or one around all of them.
 *
 * In: bytes that are whole MQTT packets, of one turn. Out: the same with their heads, to be written at once.
 */
const FIN_BINARY = 0x82
/** Shorter payloads have their length in the second byte. */
const SHORT_MAX = 125
const LENGTH_OF_16_BITS = 126
const LENGTH_OF_64_BITS = 127

/** The head of a frame, before a payload that is not copied. */
export function frameHead(payloadBytes: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes(payloadBytes))
  writeHead(head, 0, payloadBytes)
  return head
}

/** Undefined: it is a single packet. */
export function framePackets(packets: Buffer): Buffer | undefined {
  let bytes = 0
  let count = 0
  for (let at = 0; at < packets.length; count += 1) {
    const length = packetBytes(packets, at)
    bytes += headBytes(length) + length
    at += length
  }
  if (count < 2) return undefined
  const framed = Buffer.allocUnsafe(bytes)
  let to = 0
  for (let at = 0; at < packets.length;) {
    const length = packetBytes(packets, at)
    to = writeHead(framed, to, length)
    framed.set(packets.subarray(at, at + length), to)
    to += length
    at += length
  }
  return framed
}

/** Of the packet that begins there, with its fixed header [MQTT 3.1.1, section 2.2.3]; never more than there is. */
function packetBytes(packets: Buffer, start: number): number {
  let remaining = 0
  let at = start + 1
  for (let shift = 0; ; shift += 7) {
    const byte = packets[at] ?? 0
    at += 1
    remaining += (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return Math.min(at + remaining, packets.length) - start
}

function headBytes(payloadBytes: number): number {
  if (payloadBytes <= SHORT_MAX) return 2
  return payloadBytes <= 0xffff ? 4 : 10
}

/** Returns the offset behind it. */
function writeHead(target: Buffer, offset: number, payloadBytes: number): number {
  target[offset] = FIN_BINARY
  if (payloadBytes <= SHORT_MAX) {
    target[offset + 1] = payloadBytes
    return offset + 2
  }
  if (payloadBytes <= 0xffff) {
    target[offset + 1] = LENGTH_OF_16_BITS
    return target.writeUInt16BE(payloadBytes, offset + 2)
  }
  target[offset + 1] = LENGTH_OF_64_BITS
  target.writeUInt32BE(0, offset + 2)
  return target.writeUInt32BE(payloadBytes, offset + 6)
}
