/** PUBLISH out: encoded once per variant of a fan-out, shared by all who get it. */
import type { QoS } from './qos.ts'
import { PacketType } from './packet-type.ts'
import { Property } from './property-table.ts'

const EXPIRY_BYTES = 5

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

/** What a PUBLISH of MQTT 5 carries. */
export interface PublishContent5 extends PublishContent {
  /** As they go on the wire; without expiry and subscription identifiers. */
  readonly properties: Buffer | undefined
}

/** `expiryS`: seconds that are left, undefined: it does not expire. `ids`: subscription identifiers as they go on the wire. */
export function encodePublish5(
  message: PublishContent5,
  qos: QoS,
  retain: boolean,
  expiryS: number | undefined,
  ids: Buffer | undefined,
): PublishFrame {
  const { topic, payload, properties } = message
  const topicBytes = Buffer.byteLength(topic)
  const own = (expiryS === undefined ? 0 : EXPIRY_BYTES) + (ids === undefined ? 0 : ids.length)
  const propertyBytes = own + (properties === undefined ? 0 : properties.length)
  const head = 2 + topicBytes + (qos === 0 ? 0 : 2)
  const length = head + lengthBytes(propertyBytes) + propertyBytes + payload.length
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(length) + length)
  bytes[0] = (PacketType.PUBLISH << 4) | (qos << 1) | (retain ? 1 : 0)
  let offset = writeLength(bytes, 1, length)
  offset = bytes.writeUInt16BE(topicBytes, offset)
  offset += bytes.write(topic, offset)
  const packetIdOffset = qos === 0 ? 0 : offset
  offset = writeLength(bytes, qos === 0 ? offset : offset + 2, propertyBytes)
  if (expiryS !== undefined) {
    bytes[offset] = Property.MESSAGE_EXPIRY_INTERVAL
    offset = bytes.writeUInt32BE(expiryS, offset + 1)
  }
  if (ids !== undefined) offset += ids.copy(bytes, offset)
  if (properties !== undefined) offset += properties.copy(bytes, offset)
  payload.copy(bytes, offset)
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
