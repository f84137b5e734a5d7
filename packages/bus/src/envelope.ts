/**
 * The binary form of messages in the store. Version 1 of one message:
 *
 *   u8 version · u8 flags · u16 topic bytes · topic · u32 payload bytes · payload
 *
 * Version 2, of those that have properties of MQTT 5 or expire:
 *
 *   u8 version · u8 flags · u16 topic bytes · topic · [u48 expires at] · [u32 property bytes · properties] ·
 *   u32 payload bytes · payload
 *
 * Flags: bits 0–1 QoS, bit 2 retain, bit 3 expires, bit 4 has properties. A batch is messages one after the other.
 * Numbers are big-endian, as in MQTT; times are ms of Redis' clock.
 */
import { Message } from './message.ts'
import type { QoS } from '@breakwater/mqtt'

/** Those that a node reads. */
export const ENVELOPE_VERSIONS: readonly number[] = [1, 2]
const HEADER_BYTES = 4
const LENGTH_BYTES = 4
const TIME_BYTES = 6
const QOS = 3
const RETAIN = 4
const EXPIRES = 8
const PROPERTIES = 16
/** By version: the flags that it knows. */
const KNOWN_FLAGS: readonly number[] = [0, 7, 31]

export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError'
}

export function encodeMessage(message: Message): Buffer {
  return encodeMessages([message])
}

export function encodeMessages(messages: readonly Message[]): Buffer {
  let bytes = 0
  for (const message of messages) bytes += bytesOf(message)
  const buffer = Buffer.allocUnsafe(bytes)
  let offset = 0
  for (const { topic, payload, qos, retain, properties, expiresAt } of messages) {
    const start = offset
    let flags = qos | (retain ? RETAIN : 0)
    const topicBytes = buffer.write(topic, start + HEADER_BYTES)
    buffer.writeUInt16BE(topicBytes, start + 2)
    offset = start + HEADER_BYTES + topicBytes
    if (expiresAt !== undefined) {
      flags |= EXPIRES
      offset = buffer.writeUIntBE(expiresAt, offset, TIME_BYTES)
    }
    if (properties !== undefined) {
      flags |= PROPERTIES
      offset = buffer.writeUInt32BE(properties.length, offset)
      offset += properties.copy(buffer, offset)
    }
    buffer[start] = flags > (KNOWN_FLAGS[1] as number) ? 2 : 1
    buffer[start + 1] = flags
    offset = buffer.writeUInt32BE(payload.length, offset)
    offset += payload.copy(buffer, offset)
  }
  return buffer
}

function bytesOf({ topic, payload, properties, expiresAt }: Message): number {
  let bytes = HEADER_BYTES + Buffer.byteLength(topic) + LENGTH_BYTES + payload.length
  if (expiresAt !== undefined) bytes += TIME_BYTES
  if (properties !== undefined) bytes += LENGTH_BYTES + properties.length
  return bytes
}

/**
 * Payloads and properties are slices of `buffer`: whoever keeps a message keeps the batch.
 *
 * @throws {EnvelopeError} an unknown version or flag, or a length that overruns the buffer
 */
export function decodeMessages(buffer: Buffer): Message[] {
  const messages: Message[] = []
  let offset = 0
  while (offset < buffer.length) {
    if (offset + HEADER_BYTES > buffer.length) throw new EnvelopeError('truncated header')
    const flags = flagsAt(buffer, offset)
    const topicStart = offset + HEADER_BYTES
    const topicEnd = topicStart + buffer.readUInt16BE(offset + 2)
    let at = topicEnd
    let expiresAt: number | undefined
    let properties: Buffer | undefined
    if (flags & EXPIRES) {
      if (at + TIME_BYTES > buffer.length) throw new EnvelopeError('truncated time')
      expiresAt = buffer.readUIntBE(at, TIME_BYTES)
      at += TIME_BYTES
    }
    if (flags & PROPERTIES) {
      properties = bytesAt(buffer, at)
      at += LENGTH_BYTES + properties.length
    }
    const payload = bytesAt(buffer, at)
    const topic = buffer.toString('utf8', topicStart, topicEnd)
    const qos = (flags & QOS) as QoS
    const retain = (flags & RETAIN) !== 0
    messages.push(new Message(topic, payload, qos, retain, undefined, properties, expiresAt))
    offset = at + LENGTH_BYTES + payload.length
  }
  return messages
}

function flagsAt(buffer: Buffer, offset: number): number {
  const version = buffer[offset] as number
  const flags = buffer[offset + 1] as number
  const known = KNOWN_FLAGS[version] ?? 0
  if (known === 0) throw new EnvelopeError(`version ${version} is not readable by this node`)
  if ((flags & ~known) !== 0 || (flags & QOS) === QOS)
    throw new EnvelopeError(`flags ${flags} of version ${version} are not readable by this node`)
  return flags
}

/** Of those that stand behind their length. */
function bytesAt(buffer: Buffer, offset: number): Buffer {
  const start = offset + LENGTH_BYTES
  if (start > buffer.length) throw new EnvelopeError('truncated length')
  const end = start + buffer.readUInt32BE(offset)
  if (end > buffer.length)
    throw new EnvelopeError(`truncated: ${end - buffer.length} bytes missing`)
  return buffer.subarray(start, end)
}

/** @throws {EnvelopeError} not exactly one readable message */
export function decodeMessage(buffer: Buffer): Message {
  const [message, ...rest] = decodeMessages(buffer)
  if (message === undefined || rest.length > 0) throw new EnvelopeError('not one message')
  return message
}
