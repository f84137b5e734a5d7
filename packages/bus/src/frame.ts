/**
 * The binary form of what one node appends to the inbox of another:
 *
 *   u8 version · u8 id bytes · id of the sender · u32 sequence · u32 generation · u48 after · u48 first · items
 *
 * and one item:
 *
 *   u8 kind · u32 number − first ·
 *     message: u16 topic bytes · u32 payload bytes · topic · payload · [extras] · [u8 places, and each of them]
 *     place:   u8 QoS · u48 position · f64 epoch · u16 id bytes · client id
 *     shared:  a message without places · u48 position · u32 hash · u16 filter bytes · filter
 *     128:     f64 version
 *     129:     u16 filter bytes · filter
 *     130:     u32 messages · u32 bytes · messages, numbered one after the other (run.ts)
 *
 * Kind of a message: bits 0–1 QoS, bit 2 retain, bit 3 with places, bit 4 with extras (message-extras.ts), bit 5
 * passed on, bit 6 shared. A frame without extras is of version 1, one with them of version 2. Numbers are
 * big-endian, as in MQTT. The envelope of the store is another form: its bytes are kept for weeks, these for
 * milliseconds.
 */
import type { NodeSignal } from './bus.ts'
import { EnvelopeError } from './envelope.ts'
import {
  ASSIGNED,
  CONFIRMED,
  EXTRAS,
  HASH_BYTES,
  KIND_BYTES,
  LENGTHS_BYTES,
  NUMBER_BYTES,
  PASSED_ON,
  PLACE_BYTES,
  PLACES,
  RETAIN,
  RUN,
  SHARED,
  TEXT_BYTES,
} from './frame-form.ts'
import type { FrameItem } from './frame-item.ts'
import { ItemReader } from './item-reader.ts'
import { extrasBytesMax, hasExtras, writeExtras } from './message-extras.ts'
import { Message, type QueuePlace } from './message.ts'
import { Run } from './run.ts'
import { SharedMessage } from './shared-message.ts'

export interface FrameHeader {
  readonly from: string
  /** Numbers of items run on within a sequence; a sender that has forgotten a target starts another one. */
  readonly sequence: number
  /** Of the inbox that took number `after`; 0 when none did. */
  readonly generation: number
  /** The highest number of this sequence of which the sender knows that the inbox has taken it. */
  readonly after: number
}

/** What a frame is made of: the number is that of the first message of a run. */
export interface FramePart {
  readonly number: number
  readonly content: Message | SharedMessage | NodeSignal | Run
}

export interface InboxFrame extends FrameHeader {
  readonly items: readonly FrameItem[]
}

/** Those that a node reads. */
export const FRAME_VERSIONS: readonly number[] = [1, 2]
const FIXED_BYTES = 2 + 4 + 4 + NUMBER_BYTES + NUMBER_BYTES
const SHARED_BYTES = NUMBER_BYTES + HASH_BYTES + TEXT_BYTES
/** What UTF-8 needs at most for one unit of a string. */
const UNIT_BYTES_MAX = 3

/** What an item takes in a frame at most, beside its texts, payload and places. */
export const ITEM_BYTES: number = KIND_BYTES + LENGTHS_BYTES + SHARED_BYTES

export function encodeFrame(header: FrameHeader, items: readonly FramePart[]): Buffer {
  const { from, sequence, generation, after } = header
  const first = items[0]?.number ?? 0
  const buffer = Buffer.allocUnsafe(from.length * UNIT_BYTES_MAX + FIXED_BYTES + bytesMax(items))
  buffer[0] = 1
  const idBytes = buffer.write(from, 2)
  buffer[1] = idBytes
  let offset = buffer.writeUInt32BE(sequence, 2 + idBytes)
  offset = buffer.writeUInt32BE(generation, offset)
  offset = buffer.writeUIntBE(after, offset, NUMBER_BYTES)
  offset = buffer.writeUIntBE(first, offset, NUMBER_BYTES)
  for (const { number, content } of items) {
    offset = buffer.writeUInt32BE(number - first, offset + 1)
    const kindAt = offset - KIND_BYTES
    if (content instanceof Message) {
      const { places } = content
      const kind = kindOf(content)
      buffer[kindAt] = kind | (places === undefined ? 0 : PLACES)
      if (kind & EXTRAS) buffer[0] = 2
      offset = writeMessage(buffer, content, offset)
      if (places !== undefined) offset = writePlaces(buffer, places, offset)
    } else if (content instanceof Run) {
      const { bytes, count, hasExtras } = content
      if (hasExtras) buffer[0] = 2
      buffer[kindAt] = RUN
      offset = buffer.writeUInt32BE(bytes.length, buffer.writeUInt32BE(count, offset))
      buffer.set(bytes, offset)
      offset += bytes.length
    } else if (content instanceof SharedMessage) {
      const { message, filter, position, hash, passedOn } = content
      const kind = kindOf(message)
      buffer[kindAt] = kind | SHARED | (passedOn ? PASSED_ON : 0)
      if (kind & EXTRAS) buffer[0] = 2
      offset = writeMessage(buffer, message, offset)
      offset = buffer.writeUIntBE(position, offset, NUMBER_BYTES)
      offset = writeText(buffer, filter, buffer.writeUInt32BE(hash, offset))
    } else if (content.kind === 'assigned') {
      buffer[kindAt] = ASSIGNED
      offset = writeText(buffer, content.filter, offset)
    } else {
      buffer[kindAt] = CONFIRMED
      offset = buffer.writeDoubleBE(content.version, offset)
    }
  }
  return buffer.subarray(0, offset)
}

/**
 * The payloads are slices of `buffer`: who keeps a message keeps the frame.
 *
 * @throws {EnvelopeError} an unknown version or a length that overruns the buffer
 */
export function decodeFrame(buffer: Buffer): InboxFrame {
  const version = buffer[0]
  if (version === undefined || !FRAME_VERSIONS.includes(version))
    throw new EnvelopeError(`frame version ${version} is not readable by this node`)
  const idEnd = 2 + (buffer[1] ?? 0)
  const start = FIXED_BYTES + idEnd - 2
  if (start > buffer.length) throw new EnvelopeError('truncated frame header')
  const first = buffer.readUIntBE(idEnd + 8 + NUMBER_BYTES, NUMBER_BYTES)
  return {
    from: buffer.toString('utf8', 2, idEnd),
    sequence: buffer.readUInt32BE(idEnd),
    generation: buffer.readUInt32BE(idEnd + 4),
    after: buffer.readUIntBE(idEnd + 8, NUMBER_BYTES),
    items: new ItemReader(buffer, start, first).readAll(),
  }
}

function kindOf(message: Message): number {
  return message.qos | (message.retain ? RETAIN : 0) | (hasExtras(message) ? EXTRAS : 0)
}

function writeMessage(buffer: Buffer, message: Message, start: number): number {
  const { topic, payload } = message
  const topicBytes = buffer.write(topic, start + LENGTHS_BYTES)
  const lengthsEnd = buffer.writeUInt32BE(payload.length, buffer.writeUInt16BE(topicBytes, start))
  const payloadAt = lengthsEnd + topicBytes
  const offset = payloadAt + payload.copy(buffer, payloadAt)
  return hasExtras(message) ? writeExtras(buffer, message, offset) : offset
}

function writePlaces(buffer: Buffer, places: readonly QueuePlace[], start: number): number {
  let offset = buffer.writeUInt8(places.length, start)
  for (const { clientId, epoch, position, qos } of places) {
    offset = buffer.writeUInt8(qos, offset)
    offset = buffer.writeUIntBE(position, offset, NUMBER_BYTES)
    offset = writeText(buffer, clientId, buffer.writeDoubleBE(epoch, offset))
  }
  return offset
}

function writeText(buffer: Buffer, text: string, start: number): number {
  const bytes = buffer.write(text, start + TEXT_BYTES)
  return buffer.writeUInt16BE(bytes, start) + bytes
}

/** Measuring each text beforehand would cost more than the memory that is left over. */
function bytesMax(items: readonly FramePart[]): number {
  let bytes = 0
  for (const { content } of items) {
    bytes += ITEM_BYTES
    if (content instanceof Message) bytes += messageBytesMax(content)
    else if (content instanceof Run) bytes += content.bytes.length
    else if (content instanceof SharedMessage)
      bytes += messageBytesMax(content.message) + content.filter.length * UNIT_BYTES_MAX
    else if (content.kind === 'assigned') bytes += content.filter.length * UNIT_BYTES_MAX
  }
  return bytes
}

function messageBytesMax(message: Message): number {
  const { topic, payload, places } = message
  let bytes = topic.length * UNIT_BYTES_MAX + payload.length
  if (hasExtras(message)) bytes += extrasBytesMax(message)
  if (places === undefined) return bytes
  bytes += 1
  for (const { clientId } of places) bytes += PLACE_BYTES + clientId.length * UNIT_BYTES_MAX
  return bytes
}
