/**
 * Reads and checks the properties of one packet of a client [MQTT 5, section 2.2.2].
 *
 * In: the bytes of a packet and where its properties begin. Out: those that the broker acts on, by name, and the
 * others as they came (`rest`), for a message takes them along unread. One object serves all packets of a node: what
 * it says is valid until the next `read`. Bounds: the packet; the work is linear in it, and nothing is allocated.
 */
import type { PacketFault } from './packet-fault.ts'
import {
  Property,
  propertyCarriers,
  type PropertyCarrier,
  PropertyType,
  propertyTypes,
} from './property-table.ts'
import { isUtf8Text, readUtf8 } from './utf8.ts'

/** What a number is that the packet does not have. */
export const ABSENT = -1

const EMPTY = Buffer.alloc(0)
const PLUS = 43
const HASH = 35
/** Of variable byte integers with 1, 2, 3 and 4 bytes: what may not be written shorter [MQTT-1.5.5-1]. */
const SHIFT_MAX = 21

export class PropertyReader {
  /** Behind the properties. */
  end = 0
  /** Seconds; 0xFFFFFFFF: never. */
  sessionExpiryS: number = ABSENT
  receiveMaximum: number = ABSENT
  packetBytesMax: number = ABSENT
  topicAliasMaximum: number = ABSENT
  requestProblemInformation: number = ABSENT
  requestResponseInformation: number = ABSENT
  willDelayS: number = ABSENT
  messageExpiryS: number = ABSENT
  topicAlias: number = ABSENT
  subscriptionId: number = ABSENT

  #buffer: Buffer = EMPTY
  #start = 0
  /** Identifiers below 32, and the others. */
  #seenLow = 0
  #seenHigh = 0
  #methodAt = 0
  #dataAt = 0
  /** What is not part of `rest`: from where to where, of at most two properties. */
  #cutStart = 0
  #cutEnd = 0
  #secondCutStart = 0
  #secondCutEnd = 0

  /**
   * Undefined: they are right. `protocol-error` is what section 2.2.2.2 calls one: a property of another packet, a
   * second one where one is allowed, a value that is not; all else is malformed.
   */
  read(
    buffer: Buffer,
    from: number,
    packetEnd: number,
    carrier: PropertyCarrier,
  ): PacketFault | undefined {
    if ((this.#seenLow | this.#seenHigh) !== 0) this.#reset()
    this.#buffer = buffer
    if (from < packetEnd && buffer[from] === 0) {
      this.#start = this.end = from + 1
      return undefined
    }
    const start = skipVariable(buffer, from, packetEnd)
    if (start < 0) return 'malformed'
    const end = start + readVariable(buffer, from)
    if (end > packetEnd) return 'malformed'
    this.#start = start
    this.end = end
    for (let at = start; at < end;) {
      const identifier = buffer[at] as number
      const type = propertyTypes[identifier]
      if (type === undefined) return 'malformed'
      if (((propertyCarriers[identifier] as number) & carrier) === 0) return 'protocol-error'
      const next = this.#valueEnd(type, at + 1, end)
      if (next < 0) return 'malformed'
      if (identifier !== Property.USER_PROPERTY && !this.#isFirst(identifier))
        return 'protocol-error'
      const fault = this.#take(identifier, at + 1, next)
      if (fault !== undefined) return fault
      at = next
    }
    return undefined
  }

  /** What a message takes along: all but alias, expiry and the delay of a will. Copied where something was cut out. */
  get rest(): Buffer | undefined {
    const buffer = this.#buffer
    let start = this.#start
    let end = this.end
    // Most have them at an end.
    if (this.#secondCutEnd === end) end = this.#secondCutStart
    if (this.#cutEnd === end) end = this.#cutStart
    if (this.#cutStart === start) start = this.#cutEnd
    if (this.#secondCutStart === start) start = this.#secondCutEnd
    if (start >= end) return undefined
    if (this.#cutStart < start || this.#cutEnd > end)
      return this.#without(start, this.#secondCutStart, this.#secondCutEnd, end)
    if (this.#secondCutStart < start || this.#secondCutEnd > end)
      return this.#without(start, this.#cutStart, this.#cutEnd, end)
    return Buffer.concat([
      buffer.subarray(start, this.#cutStart),
      buffer.subarray(this.#cutEnd, this.#secondCutStart),
      buffer.subarray(this.#secondCutEnd, end),
    ])
  }

  get authenticationMethod(): string | undefined {
    return this.#methodAt === 0 ? undefined : this.#text(this.#methodAt)
  }

  /** A copy. */
  get authenticationData(): Buffer | undefined {
    if (this.#dataAt === 0) return undefined
    const start = this.#dataAt + 2
    return Buffer.from(
      this.#buffer.subarray(start, start + this.#buffer.readUInt16BE(this.#dataAt)),
    )
  }

  /** In the order in which they came. */
  get userProperties(): readonly (readonly [name: string, value: string])[] {
    const pairs: [string, string][] = []
    for (let at = this.#start; at < this.end;) {
      const identifier = this.#buffer[at] as number
      if (identifier === Property.USER_PROPERTY) {
        const valueAt = at + 3 + this.#buffer.readUInt16BE(at + 1)
        pairs.push([this.#text(at + 1), this.#text(valueAt)])
      }
      at = this.#valueEnd(propertyTypes[identifier] as PropertyType, at + 1, this.end)
    }
    return pairs
  }

  /** From start to end; what is cut out may lie outside. */
  #without(start: number, cutStart: number, cutEnd: number, end: number): Buffer {
    if (cutStart < start || cutEnd > end) return this.#buffer.subarray(start, end)
    return Buffer.concat([
      this.#buffer.subarray(start, cutStart),
      this.#buffer.subarray(cutEnd, end),
    ])
  }

  #text(at: number): string {
    const start = at + 2
    return readUtf8(this.#buffer, start, start + this.#buffer.readUInt16BE(at)) ?? ''
  }

  #reset(): void {
    this.sessionExpiryS = ABSENT
    this.receiveMaximum = ABSENT
    this.packetBytesMax = ABSENT
    this.topicAliasMaximum = ABSENT
    this.requestProblemInformation = ABSENT
    this.requestResponseInformation = ABSENT
    this.willDelayS = ABSENT
    this.messageExpiryS = ABSENT
    this.topicAlias = ABSENT
    this.subscriptionId = ABSENT
    this.#seenLow = 0
    this.#seenHigh = 0
    this.#methodAt = 0
    this.#dataAt = 0
    this.#cutStart = 0
    this.#cutEnd = 0
    this.#secondCutStart = 0
    this.#secondCutEnd = 0
  }

  #isFirst(identifier: number): boolean {
    const bit = 1 << (identifier & 31)
    if (identifier < 32) {
      if (this.#seenLow & bit) return false
      this.#seenLow |= bit
    } else {
      if (this.#seenHigh & bit) return false
      this.#seenHigh |= bit
    }
    return true
  }

  /** Where a value ends; negative where it is cut short or badly written. */
  #valueEnd(type: PropertyType, at: number, end: number): number {
    switch (type) {
      case PropertyType.BYTE:
        return within(at + 1, end)
      case PropertyType.TWO_BYTES:
        return within(at + 2, end)
      case PropertyType.FOUR_BYTES:
        return within(at + 4, end)
      case PropertyType.VARIABLE:
        return skipVariable(this.#buffer, at, end)
      case PropertyType.TEXT:
        return this.#textEnd(at, end)
      case PropertyType.BINARY:
        return at + 2 > end ? -1 : within(at + 2 + this.#buffer.readUInt16BE(at), end)
      case PropertyType.PAIR:
      default: {
        const valueAt = this.#textEnd(at, end)
        return valueAt < 0 ? -1 : this.#textEnd(valueAt, end)
      }
    }
  }

  #textEnd(at: number, end: number): number {
    const start = at + 2
    if (start > end) return -1
    const textEnd = start + this.#buffer.readUInt16BE(at)
    return textEnd <= end && isUtf8Text(this.#buffer, start, textEnd) ? textEnd : -1
  }

  #take(identifier: number, at: number, next: number): PacketFault | undefined {
    const buffer = this.#buffer
    switch (identifier) {
      case Property.PAYLOAD_FORMAT_INDICATOR:
        return (buffer[at] as number) > 1 ? 'protocol-error' : undefined
      case Property.MESSAGE_EXPIRY_INTERVAL:
        this.messageExpiryS = buffer.readUInt32BE(at)
        this.#cut(at - 1, next)
        return undefined
      case Property.TOPIC_ALIAS:
        this.topicAlias = buffer.readUInt16BE(at)
        this.#cut(at - 1, next)
        return undefined
      case Property.WILL_DELAY_INTERVAL:
        this.willDelayS = buffer.readUInt32BE(at)
        this.#cut(at - 1, next)
        return undefined
      case Property.RESPONSE_TOPIC:
        // [MQTT-3.3.2-14]; a topic name has one character at least [MQTT-4.7.3-1].
        return at + 2 === next || hasWildcards(buffer, at + 2, next) ? 'malformed' : undefined
      case Property.SUBSCRIPTION_IDENTIFIER:
        this.subscriptionId = readVariable(buffer, at)
        return this.subscriptionId === 0 ? 'protocol-error' : undefined
      case Property.SESSION_EXPIRY_INTERVAL:
        this.sessionExpiryS = buffer.readUInt32BE(at)
        return undefined
      case Property.AUTHENTICATION_METHOD:
        this.#methodAt = at
        return undefined
      case Property.AUTHENTICATION_DATA:
        this.#dataAt = at
        return undefined
      case Property.REQUEST_PROBLEM_INFORMATION:
        this.requestProblemInformation = buffer[at] as number
        return this.requestProblemInformation > 1 ? 'protocol-error' : undefined
      case Property.REQUEST_RESPONSE_INFORMATION:
        this.requestResponseInformation = buffer[at] as number
        return this.requestResponseInformation > 1 ? 'protocol-error' : undefined
      case Property.RECEIVE_MAXIMUM:
        this.receiveMaximum = buffer.readUInt16BE(at)
        return this.receiveMaximum === 0 ? 'protocol-error' : undefined
      case Property.TOPIC_ALIAS_MAXIMUM:
        this.topicAliasMaximum = buffer.readUInt16BE(at)
        return undefined
      case Property.MAXIMUM_PACKET_SIZE:
        this.packetBytesMax = buffer.readUInt32BE(at)
        return this.packetBytesMax === 0 ? 'protocol-error' : undefined
      default:
        return undefined
    }
  }

  #cut(start: number, end: number): void {
    if (this.#cutEnd === 0) {
      this.#cutStart = start
      this.#cutEnd = end
    } else {
      this.#secondCutStart = start
      this.#secondCutEnd = end
    }
  }
}

function within(at: number, end: number): number {
  return at <= end ? at : -1
}

/** Where a variable byte integer ends; negative where it is cut short, too long, or longer than it need be. */
function skipVariable(buffer: Buffer, at: number, end: number): number {
  for (let index = at, shift = 0; index < end && shift <= SHIFT_MAX; index += 1, shift += 7) {
    const byte = buffer[index] as number
    if (byte < 128) return byte === 0 && index > at ? -1 : index + 1
  }
  return -1
}

/** Of one that `skipVariable` has passed. */
function readVariable(buffer: Buffer, at: number): number {
  let value = 0
  for (let index = at, shift = 0; ; index += 1, shift += 7) {
    const byte = buffer[index] as number
    value |= (byte & 127) << shift
    if (byte < 128) return value
  }
}

function hasWildcards(buffer: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1)
    if (buffer[index] === PLUS || buffer[index] === HASH) return true
  return false
}
