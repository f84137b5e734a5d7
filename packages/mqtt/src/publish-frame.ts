/** PUBLISH out: encoded once per variant of a fan-out, shared by all who get it. */
import type { QoS } from './qos.ts'
import { PacketType } from './packet-type.ts'

/** Where a frame has its packet id; 0 for QoS 0. */
export interface PublishFrame {
  readonly bytes: Buffer
  readonly packetIdOffset: number
}

/** What a PUBLISH carries. */
export interface PublishContent {
  readonly topic: string
  readonly payload: Buffer
}

export function encodePublish(message: PublishContent, qos: QoS, retain: boolean): PublishFrame {
  const { topic, payload } = message
  const topicBytes = Buffer.byteLength(topic)
  const length = 2 + topicBytes + (qos === 0 ? 0 : 2) + payload.length
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(length) + length)
  bytes[0] = (PacketType.PUBLISH << 4) | (qos << 1) | (retain ? 1 : 0)
  let offset = writeLength(bytes, 1, length)
  offset = bytes.writeUInt16BE(topicBytes, offset)
  offset += bytes.write(topic, offset)
  const packetIdOffset = qos === 0 ? 0 : offset
  payload.copy(bytes, qos === 0 ? offset : offset + 2)
  return { bytes, packetIdOffset }
}

export function lengthBytes(length: number): number {
  if (length < 128) return 1
  if (length < 16_384) return 2
  return length < 2_097_152 ? 3 : 4
}

/** Writes a remaining length [MQTT 3.1.1, section 2.2.3]; returns the offset behind it. */
export function writeLength(bytes: Buffer, offset: number, length: number): number {
  let rest = length
  let at = offset
  while (rest > 127) {
    bytes[at] = (rest & 127) | 128
    rest >>>= 7
    at += 1
  }
  bytes[at] = rest
  return at + 1
}
