import type { PacketFault } from './packet-fault.ts'
import { ABSENT, PropertyReader } from './property-reader.ts'
import { PropertyCarrier } from './property-table.ts'
import type { QoS } from './qos.ts'
import { isSharedFilter } from './shared-filter.ts'
import { isValidTopicFilter } from './topic.ts'
import { readUtf8 } from './utf8.ts'

interface SubscribeRequest {
  /** Of MQTT 5 it may be one that is not allowed: that is answered for itself. */
  readonly filter: string
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** When retained messages are sent: at each SUBSCRIBE (0), at a new subscription (1), never (2). */
  readonly retainHandling: 0 | 1 | 2
}

export interface SubscribeFrame {
  readonly packetId: number
  readonly requests: readonly SubscribeRequest[]
  /** Goes with each message that one of these filters has matched; 0: none was given. */
  readonly subscriptionId: number
}

export interface UnsubscribeFrame {
  readonly packetId: number
  readonly filters: readonly string[]
}

const QOS = 3
const NO_LOCAL = 4
const RETAIN_AS_PUBLISHED = 8
const RESERVED = 0xc0
/** A packet is read in one go: one for all. */
const reader = new PropertyReader()

/**
 * Malformed: packet id 0, no filter [MQTT-3.8.3-3], QoS 3, retain handling 3, reserved bits, which MQTT 3.1 does not
 * use [MQTT-3-8.3-4] [MQTT-3.8.3-5]; below MQTT 5 also a filter that is not allowed [MQTT-4.7.1-2] [MQTT-4.7.1-3]
 * [MQTT-4.7.3-1]. A protocol error: No Local for a shared subscription [MQTT-3.8.3-4].
 */
export function readSubscribe(
  buffer: Buffer,
  start: number,
  end: number,
  protocolLevel: 0 | 3 | 4 | 5,
): SubscribeFrame | PacketFault {
  const packetId = readPacketId(buffer, start, end)
  if (packetId === 0) return 'malformed'
  const is5 = protocolLevel === 5
  let offset = start + 2
  let subscriptionId = 0
  if (is5) {
    const fault = reader.read(buffer, offset, end, PropertyCarrier.SUBSCRIBE)
    if (fault !== undefined) return fault
    if (reader.subscriptionId !== ABSENT) ({ subscriptionId } = reader)
    offset = reader.end
  }
  const requests: SubscribeRequest[] = []
  while (offset < end) {
    const filterEnd = stringEnd(buffer, offset, end)
    if (filterEnd >= end) return 'malformed'
    const filter = readUtf8(buffer, offset + 2, filterEnd)
    if (filter === undefined || !(is5 || isValidTopicFilter(filter))) return 'malformed'
    const options = buffer[filterEnd] as number
    const qos = is5 || protocolLevel === 3 ? options & QOS : options
    const retainHandling = is5 ? (options >> 4) & 3 : 0
    if (qos > 2 || retainHandling > 2 || (is5 && options & RESERVED)) return 'malformed'
    const noLocal = is5 && (options & NO_LOCAL) !== 0
    if (noLocal && isSharedFilter(filter)) return 'protocol-error'
    requests.push({
      filter,
      qos: qos as QoS,
      noLocal,
      retainAsPublished: is5 && (options & RETAIN_AS_PUBLISHED) !== 0,
      retainHandling: retainHandling as 0 | 1 | 2,
    })
    offset = filterEnd + 1
  }
  return requests.length === 0 ? 'malformed' : { packetId, requests, subscriptionId }
}

/** Malformed: packet id 0, no filter [MQTT-3.10.3-2], and, below MQTT 5, a filter that is not allowed. */
export function readUnsubscribe(
  buffer: Buffer,
  start: number,
  end: number,
  protocolLevel: 0 | 3 | 4 | 5,
): UnsubscribeFrame | PacketFault {
  const packetId = readPacketId(buffer, start, end)
  if (packetId === 0) return 'malformed'
  const filters: string[] = []
  let offset = start + 2
  if (protocolLevel === 5) {
    const fault = reader.read(buffer, offset, end, PropertyCarrier.UNSUBSCRIBE)
    if (fault !== undefined) return fault
    offset = reader.end
  }
  while (offset < end) {
    const filterEnd = stringEnd(buffer, offset, end)
    if (filterEnd > end) return 'malformed'
    const filter = readUtf8(buffer, offset + 2, filterEnd)
    if (filter === undefined || !(protocolLevel === 5 || isValidTopicFilter(filter)))
      return 'malformed'
    filters.push(filter)
    offset = filterEnd
  }
  return filters.length === 0 ? 'malformed' : { packetId, filters }
}

/** The packet id at the start of a body; 0, which no packet may have [MQTT-2.3.1-1], if it is cut short. */
export function readPacketId(buffer: Buffer, start: number, end: number): number {
  return start + 2 > end ? 0 : ((buffer[start] as number) << 8) | (buffer[start + 1] as number)
}

/** Where a length-prefixed string ends; behind `end` if it does not fit. */
function stringEnd(buffer: Buffer, offset: number, end: number): number {
  return offset + 2 > end ? end + 1 : offset + 2 + buffer.readUInt16BE(offset)
}
