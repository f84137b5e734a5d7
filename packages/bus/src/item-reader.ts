/**
 * Reads the items of a frame one after the other, see frame.ts for their form. The payloads are slices of the
 * buffer. Bound: the end of the buffer.
 */
import type { NodeSignal } from './bus.ts'
import { EnvelopeError } from './envelope.ts'
import {
  ASSIGNED,
  CONFIRMED,
  DOUBLE_BYTES,
  EXTRAS,
  HASH_BYTES,
  NUMBER_BYTES,
  PASSED_ON,
  PLACES,
  QOS,
  RETAIN,
  RUN,
  SHARED,
  TEXT_BYTES,
} from './frame-form.ts'
import type { FrameItem } from './frame-item.ts'
import { readExtras } from './message-extras.ts'
import { Message, type QueuePlace } from './message.ts'
import type { QoS } from '@breakwater/mqtt'
import { decodeRun } from './run.ts'
import { SharedMessage } from './shared-message.ts'

const MESSAGE_BITS = EXTRAS | PLACES | RETAIN | QOS
const SHARED_BITS = SHARED | PASSED_ON | EXTRAS | RETAIN | QOS

export class ItemReader {
  readonly #buffer: Buffer
  readonly #first: number
  #offset: number

  /** `first`: what the numbers of the items count from. */
  constructor(buffer: Buffer, start: number, first: number) {
    this.#buffer = buffer
    this.#offset = start
    this.#first = first
  }

  /** @throws {EnvelopeError} an unknown kind or a length that overruns the buffer */
  readAll(): readonly FrameItem[] {
    const items: FrameItem[] = []
    while (this.#offset < this.#buffer.length) {
      const kind = this.#number(1)
      const number = this.#first + this.#number(4)
      if (kind === RUN)
        for (const [index, content] of this.#run().entries())
          items.push({ number: number + index, content })
      else items.push({ number, content: this.#content(kind) })
    }
    return items
  }

  #content(kind: number): FrameItem['content'] {
    if (kind === CONFIRMED) return this.#confirmed()
    if (kind === ASSIGNED) return { kind: 'assigned', filter: this.#text() }
    const isShared = (kind & SHARED) !== 0
    if ((kind & ~(isShared ? SHARED_BITS : MESSAGE_BITS)) !== 0 || (kind & QOS) === QOS)
      throw new EnvelopeError(`item of unknown kind ${kind}`)
    return isShared ? this.#shared(kind) : this.#message(kind)
  }

  #confirmed(): NodeSignal {
    return { kind: 'confirmed', version: this.#double() }
  }

  #message(kind: number): Message {
    const topicBytes = this.#number(2)
    const payloadBytes = this.#number(4)
    const topic = this.#string(topicBytes)
    const start = this.#take(payloadBytes)
    const payload = this.#buffer.subarray(start, start + payloadBytes)
    const qos = (kind & QOS) as QoS
    const retain = (kind & RETAIN) !== 0
    if ((kind & EXTRAS) === 0) return new Message(topic, payload, qos, retain, this.#placesOf(kind))
    const { properties, expiresAt, end } = readExtras(
      this.#buffer,
      this.#offset,
      this.#buffer.length,
    )
    this.#offset = end
    const places = this.#placesOf(kind)
    return new Message(topic, payload, qos, retain, places, properties, expiresAt)
  }

  #placesOf(kind: number): readonly QueuePlace[] | undefined {
    if ((kind & PLACES) === 0) return undefined
    const places: QueuePlace[] = []
    for (let count = this.#number(1); count > 0; count -= 1) {
      const qos = (this.#number(1) & QOS) as QoS
      const position = this.#number(NUMBER_BYTES)
      const epoch = this.#double()
      places.push({ clientId: this.#text(), epoch, position, qos })
    }
    return places
  }

  #shared(kind: number): SharedMessage {
    const message = this.#message(kind)
    const position = this.#number(NUMBER_BYTES)
    const hash = this.#number(HASH_BYTES)
    const passedOn = (kind & PASSED_ON) !== 0
    return new SharedMessage({ message, position, hash, filter: this.#text(), passedOn })
  }

  #run(): readonly Message[] {
    const count = this.#number(4)
    const bytes = this.#number(4)
    const start = this.#take(bytes)
    const messages = decodeRun(this.#buffer, start, start + bytes)
    if (messages.length !== count) throw new EnvelopeError('not the whole run')
    return messages
  }

  #number(bytes: number): number {
    return this.#buffer.readUIntBE(this.#take(bytes), bytes)
  }

  #double(): number {
    return this.#buffer.readDoubleBE(this.#take(DOUBLE_BYTES))
  }

  #text(): string {
    return this.#string(this.#number(TEXT_BYTES))
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
