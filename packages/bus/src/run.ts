/**
 * QoS 0 messages that go to the same nodes, written into one buffer as they come: no object, no copy of the
 * payload and no callback of its own for each. Message: u8 kind (bit 2 retain, bit 4 with extras) · u16 topic
 * bytes · u32 payload bytes · topic · payload · [extras, message-extras.ts]. Bound: RUN_BYTES_MAX; a larger message is a run of its own.
 */
import { EnvelopeError } from './envelope.ts'
import { EXTRAS, RETAIN } from './frame-form.ts'
import { extrasBytesMax, hasExtras, readExtras, writeExtras } from './message-extras.ts'
import { Message } from './message.ts'

const RUN_BYTES_MIN = 1_024
const RUN_BYTES_MAX = 65_536
const HEADER_BYTES = 1 + 2 + 4
/** What UTF-8 needs at most for one unit of a string. */
const UNIT_BYTES_MAX = 3

export class Run {
  count = 0
  hasExtras = false
  #buffer: Buffer
  #end = 0

  constructor(first: Message) {
    const most = bytesMax(first)
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(most, RUN_BYTES_MIN))
    this.#write(first)
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }

  /** False where there is no room for it. */
  add(message: Message): boolean {
    const end = this.#end + bytesMax(message)
    if (end > this.#buffer.length) {
      if (end > RUN_BYTES_MAX) return false
      const longer = Buffer.allocUnsafeSlow(Math.min(RUN_BYTES_MAX, end * 4))
      this.#buffer.copy(longer, 0, 0, this.#end)
      this.#buffer = longer
    }
    this.#write(message)
    return true
  }

  #write(message: Message): void {
    const { topic, payload, retain } = message
    const buffer = this.#buffer
    const start = this.#end
    const at = start + HEADER_BYTES
    const topicBytes = writeText(buffer, topic, at)
    const { length } = payload
    buffer[start] = retain ? RETAIN : 0
    buffer[start + 1] = topicBytes >>> 8
    buffer[start + 2] = topicBytes
    buffer[start + 3] = length >>> 24
    buffer[start + 4] = length >>> 16
    buffer[start + 5] = length >>> 8
    buffer[start + 6] = length
    buffer.set(payload, at + topicBytes)
    this.#end = at + topicBytes + length
    this.count += 1
    if (!hasExtras(message)) return
    buffer[start] = (retain ? RETAIN : 0) | EXTRAS
    this.hasExtras = true
    this.#end = writeExtras(buffer, message, this.#end)
  }
}

/** @throws {EnvelopeError} a message that overruns the buffer */
export function decodeRun(buffer: Buffer, start: number, end: number): Message[] {
  const messages: Message[] = []
  for (let offset = start; offset < end;) {
    const topicStart = offset + HEADER_BYTES
    if (topicStart > end) throw new EnvelopeError('truncated run')
    const topicEnd = topicStart + buffer.readUInt16BE(offset + 1)
    const payloadEnd = topicEnd + buffer.readUInt32BE(offset + 3)
    if (payloadEnd > end) throw new EnvelopeError('truncated run')
    const topic = buffer.toString('utf8', topicStart, topicEnd)
    const payload = buffer.subarray(topicEnd, payloadEnd)
    const kind = buffer[offset] as number
    const retain = (kind & RETAIN) !== 0
    offset = payloadEnd
    if (kind & EXTRAS) {
      const { properties, expiresAt, end: extrasEnd } = readExtras(buffer, payloadEnd, end)
      messages.push(new Message(topic, payload, 0, retain, undefined, properties, expiresAt))
      offset = extrasEnd
    } else messages.push(new Message(topic, payload, 0, retain))
  }
  return messages
}

function bytesMax(message: Message): number {
  const bytes = HEADER_BYTES + message.topic.length * UNIT_BYTES_MAX + message.payload.length
  return hasExtras(message) ? bytes + extrasBytesMax(message) : bytes
}

/** Most topics are short and ASCII: a call out of JavaScript would cost more than the loop. */
function writeText(buffer: Buffer, text: string, start: number): number {
  const { length } = text
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index)
    if (code > 127) return buffer.write(text, start)
    buffer[start + index] = code
  }
  return length
}
