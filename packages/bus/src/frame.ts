/**
 * The binary form of what one node appends to the inbox of another. Version 1:
 *
 *   u8 version · u8 id bytes · id of the sender · u32 line · u32 generation · u48 after · u48 first · items
 *
 * and one item:
 *
 *   u8 kind (bits 0–1 QoS, bit 2 retain, bit 3 with places, bit 6 a run, bit 7 a word) · u32 number − first ·
 *     message: u16 topic bytes · u32 payload bytes · topic · payload · [u8 places, and each of them]
 *     place:   u8 QoS · u48 position · f64 epoch · u16 id bytes · client id
 *     word:    f64 version
 *     run:     u32 messages · u32 bytes · messages, numbered one after the other (run.ts)
 *
 * Numbers are big-endian, as in MQTT. The envelope of the store is another form: its bytes are kept for
 * weeks, these for milliseconds.
 */
import type { Word } from './bus.ts'
import { EnvelopeError } from './envelope.ts'
import { Message, type QoS, type QueuePlace } from './message.ts'
import { decodeRun, Run } from './run.ts'

export interface FrameHeader {
  readonly from: string
  /** Numbers of items run on within a line; a sender that has forgotten a target starts another one. */
  readonly line: number
  /** Of the inbox that took number `after`; 0 when none did. */
  readonly generation: number
  /** The highest number of this line of which the sender knows that the inbox has taken it. */
  readonly after: number
}

export interface FrameItem {
  readonly number: number
  readonly content: Message | Word
}

/** What a frame is made of: the number is that of the first message of a run. */
export interface FramePart {
  readonly number: number
  readonly content: Message | Word | Run
}

export interface InboxFrame extends FrameHeader {
  readonly items: readonly FrameItem[]
}

export const FRAME_VERSION = 1
const NUMBER_BYTES = 6
const FIXED_BYTES = 2 + 4 + 4 + NUMBER_BYTES + NUMBER_BYTES
const KIND_BYTES = 1 + 4
const LENGTHS_BYTES = 2 + 4
const WORD_BYTES = 8
const PLACES = 8
const PLACE_BYTES = 1 + NUMBER_BYTES + 8 + 2
const RUN = 64
const RUN_BYTES = 4 + 4
const WORD = 128
/** What UTF-8 needs at most for one unit of a string. */
const UNIT_BYTES_MAX = 3

/** What an item takes in a frame, beside its topic and payload. */
export const ITEM_BYTES: number = KIND_BYTES + Math.max(LENGTHS_BYTES, WORD_BYTES)

export function encodeFrame(header: FrameHeader, items: readonly FramePart[]): Buffer {
  const { from, line, generation, after } = header
  const first = items[0]?.number ?? 0
  const buffer = Buffer.allocUnsafe(from.length * UNIT_BYTES_MAX + FIXED_BYTES + bytesMax(items))
  buffer[0] = FRAME_VERSION
  const idBytes = buffer.write(from, 2)
  buffer[1] = idBytes
  let offset = buffer.writeUInt32BE(line, 2 + idBytes)
  offset = buffer.writeUInt32BE(generation, offset)
  offset = buffer.writeUIntBE(after, offset, NUMBER_BYTES)
  offset = buffer.writeUIntBE(first, offset, NUMBER_BYTES)
  for (const { number, content } of items) {
    offset = buffer.writeUInt32BE(number - first, offset + 1)
    if (content instanceof Message) {
      const { topic, payload, qos, retain, places } = content
      buffer[offset - KIND_BYTES] = qos | (retain ? 4 : 0) | (places === undefined ? 0 : PLACES)
      const topicBytes = buffer.write(topic, offset + LENGTHS_BYTES)
      offset = buffer.writeUInt32BE(payload.length, buffer.writeUInt16BE(topicBytes, offset))
      offset += topicBytes
      offset += payload.copy(buffer, offset)
      if (places !== undefined) offset = writePlaces(buffer, offset, places)
    } else if (content instanceof Run) {
      const { bytes, count } = content
      buffer[offset - KIND_BYTES] = RUN
      offset = buffer.writeUInt32BE(bytes.length, buffer.writeUInt32BE(count, offset))
      buffer.set(bytes, offset)
      offset += bytes.length
    } else {
      buffer[offset - KIND_BYTES] = WORD
      offset = buffer.writeDoubleBE(content.version, offset)
    }
  }
  return buffer.subarray(0, offset)
}

/** Measuring each topic beforehand would cost more than the memory that is left over. */
function bytesMax(items: readonly FramePart[]): number {
  let bytes = 0
  for (const { content } of items) {
    bytes += ITEM_BYTES
    if (content instanceof Message)
      bytes +=
        content.topic.length * UNIT_BYTES_MAX +
        content.payload.length +
        placesBytesMax(content.places)
    else if (content instanceof Run) bytes += content.bytes.length
  }
  return bytes
}

function placesBytesMax(places: readonly QueuePlace[] | undefined): number {
  if (places === undefined) return 0
  let bytes = 1
  for (const { clientId } of places) bytes += PLACE_BYTES + clientId.length * UNIT_BYTES_MAX
  return bytes
}

function writePlaces(buffer: Buffer, start: number, places: readonly QueuePlace[]): number {
  let offset = buffer.writeUInt8(places.length, start)
  for (const { clientId, epoch, position, qos } of places) {
    offset = buffer.writeUInt8(qos, offset)
    offset = buffer.writeUIntBE(position, offset, NUMBER_BYTES)
    offset = buffer.writeDoubleBE(epoch, offset)
    const idBytes = buffer.write(clientId, offset + 2)
    offset = buffer.writeUInt16BE(idBytes, offset) + idBytes
  }
  return offset
}

/** @throws {EnvelopeError} they overrun the buffer */
function readPlaces(buffer: Buffer, start: number): { places: QueuePlace[]; end: number } {
  const places: QueuePlace[] = []
  let count = buffer[start] ?? 1
  let offset = start + 1
  for (; count > 0; count -= 1) {
    if (offset + PLACE_BYTES > buffer.length) throw new EnvelopeError('truncated place')
    const idStart = offset + PLACE_BYTES
    const end = idStart + buffer.readUInt16BE(idStart - 2)
    if (end > buffer.length) throw new EnvelopeError('truncated place')
    places.push({
      clientId: buffer.toString('utf8', idStart, end),
      epoch: buffer.readDoubleBE(offset + 1 + NUMBER_BYTES),
      position: buffer.readUIntBE(offset + 1, NUMBER_BYTES),
      qos: ((buffer[offset] ?? 0) & 3) as QoS,
    })
    offset = end
  }
  return { places, end: offset }
}

/**
 * The payloads are slices of `buffer`: who keeps a message keeps the frame.
 *
 * @throws {EnvelopeError} an unknown version or a length that overruns the buffer
 */
export function decodeFrame(buffer: Buffer): InboxFrame {
  const version = buffer[0]
  if (version !== FRAME_VERSION)
    throw new EnvelopeError(`frame version ${version} is not readable by this node`)
  const idEnd = 2 + (buffer[1] ?? 0)
  const start = FIXED_BYTES + idEnd - 2
  if (start > buffer.length) throw new EnvelopeError('truncated frame header')
  const first = buffer.readUIntBE(idEnd + 8 + NUMBER_BYTES, NUMBER_BYTES)
  return {
    from: buffer.toString('utf8', 2, idEnd),
    line: buffer.readUInt32BE(idEnd),
    generation: buffer.readUInt32BE(idEnd + 4),
    after: buffer.readUIntBE(idEnd + 8, NUMBER_BYTES),
    items: decodeItems(buffer, start, first),
  }
}

function decodeItems(buffer: Buffer, start: number, first: number): readonly FrameItem[] {
  const items: FrameItem[] = []
  let offset = start
  while (offset < buffer.length) {
    const kind = buffer[offset] ?? 0
    const body = offset + KIND_BYTES
    if (body + (kind === WORD || kind === RUN ? WORD_BYTES : LENGTHS_BYTES) > buffer.length)
      throw new EnvelopeError('truncated item')
    const number = first + buffer.readUInt32BE(offset + 1)
    if (kind === WORD) {
      items.push({ number, content: { kind: 'confirmed', version: buffer.readDoubleBE(body) } })
      offset = body + WORD_BYTES
      continue
    }
    if (kind === RUN) {
      const end = body + RUN_BYTES + buffer.readUInt32BE(body + 4)
      if (end > buffer.length) throw new EnvelopeError('truncated run')
      const messages = decodeRun(buffer, body + RUN_BYTES, end)
      if (messages.length !== buffer.readUInt32BE(body))
        throw new EnvelopeError('not the whole run')
      for (const [index, content] of messages.entries())
        items.push({ number: number + index, content })
      offset = end
      continue
    }
    if (kind > 15 || (kind & 3) === 3) throw new EnvelopeError(`item of unknown kind ${kind}`)
    const topicStart = body + LENGTHS_BYTES
    const topicEnd = topicStart + buffer.readUInt16BE(body)
    const end = topicEnd + buffer.readUInt32BE(body + 2)
    if (end > buffer.length) throw new EnvelopeError('truncated message')
    const topic = buffer.toString('utf8', topicStart, topicEnd)
    const payload = buffer.subarray(topicEnd, end)
    const qos = (kind & 3) as QoS
    const retain = (kind & 4) !== 0
    const found = (kind & PLACES) === 0 ? undefined : readPlaces(buffer, end)
    items.push({ number, content: new Message(topic, payload, qos, retain, found?.places) })
    offset = found?.end ?? end
  }
  return items
}
