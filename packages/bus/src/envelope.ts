/**
 * The binary form of messages between nodes and in the store. Version 1 of one message:
 *
 *   u8 version · u8 flags (bits 0–1 QoS, bit 2 retain) · u16 topic bytes · topic · u32 payload bytes · payload
 *
 * A batch is messages one after the other. Numbers are big-endian, as in MQTT.
 */
import { Message } from './message.ts'
import type { QoS } from '@breakwater/mqtt'

export const ENVELOPE_VERSION = 1
const HEADER_BYTES = 4
const LENGTH_BYTES = 4

export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError'
}

export function encodeMessage(message: Message): Buffer {
  return encodeMessages([message])
}

export function encodeMessages(messages: readonly Message[]): Buffer {
  let bytes = 0
  for (const { topic, payload } of messages)
    bytes += HEADER_BYTES + Buffer.byteLength(topic) + LENGTH_BYTES + payload.length
  const buffer = Buffer.allocUnsafe(bytes)
  let offset = 0
  for (const { topic, payload, qos, retain } of messages) {
    buffer[offset] = ENVELOPE_VERSION
    buffer[offset + 1] = qos | (retain ? 4 : 0)
    const topicBytes = buffer.write(topic, offset + HEADER_BYTES)
    buffer.writeUInt16BE(topicBytes, offset + 2)
    offset = buffer.writeUInt32BE(payload.length, offset + HEADER_BYTES + topicBytes)
    offset += payload.copy(buffer, offset)
  }
  return buffer
}

/**
 * The payloads are slices of `buffer`: who keeps a message keeps the batch.
 *
 * @throws {EnvelopeError} an unknown version or a length that overruns the buffer
 */
export function decodeMessages(buffer: Buffer): Message[] {
  const messages: Message[] = []
  let offset = 0
  while (offset < buffer.length) {
    if (offset + HEADER_BYTES > buffer.length) throw new EnvelopeError('truncated header')
    const version = buffer[offset]
    if (version !== ENVELOPE_VERSION)
      throw new EnvelopeError(`version ${version} is not readable by this node`)
    const flags = buffer[offset + 1] ?? 0
    const topicStart = offset + HEADER_BYTES
    const topicEnd = topicStart + buffer.readUInt16BE(offset + 2)
    if (topicEnd + LENGTH_BYTES > buffer.length) throw new EnvelopeError('truncated topic')
    const payloadStart = topicEnd + LENGTH_BYTES
    const payloadEnd = payloadStart + buffer.readUInt32BE(topicEnd)
    if (payloadEnd > buffer.length) throw new EnvelopeError('truncated payload')
    messages.push(
      new Message(
        buffer.toString('utf8', topicStart, topicEnd),
        buffer.subarray(payloadStart, payloadEnd),
        (flags & 3) as QoS,
        (flags & 4) !== 0,
      ),
    )
    offset = payloadEnd
  }
  return messages
}

/** @throws {EnvelopeError} not exactly one readable message */
export function decodeMessage(buffer: Buffer): Message {
  const [message, ...rest] = decodeMessages(buffer)
  if (message === undefined || rest.length > 0) throw new EnvelopeError('not one message')
  return message
}
