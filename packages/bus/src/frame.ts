/**
 * The binary form of what one node appends to the inbox of another. Version 1:
 *
 *   u8 version · u8 id bytes · id of the sender · u32 line · u32 generation · u48 after · u48 first · items
 *
 * and one item:
 *
 *   u8 kind (bits 0–1 QoS, bit 2 retain, bit 5 passed on, bit 6 shared, bit 7 a word) · u32 number − first ·
 *     message: u16 topic bytes · u32 payload bytes · topic · payload
 *     shared:  the same · u48 position · u32 hash · u16 filter bytes · filter
 *     word 0:  f64 version
 *     word 1:  u16 filter bytes · filter
 *
 * Numbers are big-endian, as in MQTT. The envelope of the store is another form: its bytes are kept for
 * weeks, these for milliseconds.
 */
import type { Word } from './bus.ts'
import { EnvelopeError } from './envelope.ts'
import { Message, type QoS } from './message.ts'
import { SharedMessage } from './shared-message.ts'

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
  readonly content: Message | SharedMessage | Word
}

export interface InboxFrame extends FrameHeader {
  readonly items: readonly FrameItem[]
}

export const FRAME_VERSION = 1
const NUMBER_BYTES = 6
const FIXED_BYTES = 2 + 4 + 4 + NUMBER_BYTES + NUMBER_BYTES
const KIND_BYTES = 1 + 4
const LENGTHS_BYTES = 2 + 4
const CONFIRMED_BYTES = 8
const FILTER_BYTES = 2
const SHARED_BYTES = NUMBER_BYTES + 4 + FILTER_BYTES
const CONFIRMED = 128
const ASSIGNED = 129
const SHARED = 64
const PASSED_ON = 32
/** Of a kind that is a message. */
const KIND_BITS = SHARED | PASSED_ON | 7
/** What UTF-8 needs at most for one unit of a string. */
const UNIT_BYTES_MAX = 3

/** What an item takes in a frame at most, beside its texts and payload. */
export const ITEM_BYTES: number = KIND_BYTES + LENGTHS_BYTES + SHARED_BYTES

export function encodeFrame(header: FrameHeader, items: readonly FrameItem[]): Buffer {
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
    const kindAt = offset - KIND_BYTES
    if (content instanceof Message) {
      buffer[kindAt] = kindOf(content)
      offset = writeMessage(buffer, content, offset)
    } else if (content instanceof SharedMessage) {
      const { message, filter, position, hash, passedOn } = content
      buffer[kindAt] = kindOf(message) | SHARED | (passedOn ? PASSED_ON : 0)
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

function kindOf({ qos, retain }: Message): number {
  return qos | (retain ? 4 : 0)
}

function writeMessage(buffer: Buffer, { topic, payload }: Message, start: number): number {
  const topicBytes = buffer.write(topic, start + LENGTHS_BYTES)
  const offset = buffer.writeUInt32BE(payload.length, buffer.writeUInt16BE(topicBytes, start))
  return offset + topicBytes + payload.copy(buffer, offset + topicBytes)
}

function writeText(buffer: Buffer, text: string, start: number): number {
  const bytes = buffer.write(text, start + FILTER_BYTES)
  return buffer.writeUInt16BE(bytes, start) + bytes
}

/** Measuring each text beforehand would cost more than the memory that is left over. */
function bytesMax(items: readonly FrameItem[]): number {
  let bytes = 0
  for (const { content } of items) {
    bytes += ITEM_BYTES
    if (content instanceof Message) bytes += messageBytesMax(content)
    else if (content instanceof SharedMessage)
      bytes += messageBytesMax(content.message) + content.filter.length * UNIT_BYTES_MAX
    else if (content.kind === 'assigned') bytes += content.filter.length * UNIT_BYTES_MAX
  }
  return bytes
}

function messageBytesMax({ topic, payload }: Message): number {
  return topic.length * UNIT_BYTES_MAX + payload.length
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
  const reader = new ItemReader(buffer, start)
  const items: FrameItem[] = []
  while (!reader.done) {
    const kind = reader.number(1)
    const number = first + reader.number(4)
    if (kind === CONFIRMED) items.push({ number, content: reader.confirmed() })
    else if (kind === ASSIGNED)
      items.push({ number, content: { kind: 'assigned', filter: reader.text() } })
    else if ((kind & ~((kind & SHARED) === 0 ? 7 : KIND_BITS)) !== 0 || (kind & 3) === 3)
      throw new EnvelopeError(`item of unknown kind ${kind}`)
    else {
      const message = reader.message(kind)
      const content = (kind & SHARED) === 0 ? message : reader.shared(message, kind)
      items.push({ number, content })
    }
  }
  return items
}

class ItemReader {
  readonly #buffer: Buffer
  #offset: number

  constructor(buffer: Buffer, start: number) {
    this.#buffer = buffer
    this.#offset = start
  }

  get done(): boolean {
    return this.#offset >= this.#buffer.length
  }

  number(bytes: number): number {
    return this.#buffer.readUIntBE(this.#take(bytes), bytes)
  }

  text(): string {
    return this.#string(this.number(FILTER_BYTES))
  }

  confirmed(): Word {
    return { kind: 'confirmed', version: this.#buffer.readDoubleBE(this.#take(CONFIRMED_BYTES)) }
  }

  message(kind: number): Message {
    const topicBytes = this.number(2)
    const payloadBytes = this.number(4)
    const topic = this.#string(topicBytes)
    const start = this.#take(payloadBytes)
    const payload = this.#buffer.subarray(start, start + payloadBytes)
    return new Message(topic, payload, (kind & 3) as QoS, (kind & 4) !== 0)
  }

  shared(message: Message, kind: number): SharedMessage {
    const position = this.number(NUMBER_BYTES)
    const hash = this.number(4)
    const passedOn = (kind & PASSED_ON) !== 0
    return new SharedMessage({ message, position, hash, filter: this.text(), passedOn })
  }

  #string(bytes: number): string {
    const start = this.#take(bytes)
    return this.#buffer.toString('utf8', start, start + bytes)
  }

  #take(bytes: number): number {
    const start = this.#offset
    if (start + bytes > this.#buffer.length) throw new EnvelopeError('truncated item')
    this.#offset = start + bytes
    return start
  }
}
