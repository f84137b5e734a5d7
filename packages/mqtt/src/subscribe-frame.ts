import type { QoS } from './qos.ts'
import { isValidTopicFilter } from './topic.ts'
import { readUtf8 } from './utf8.ts'

export interface SubscribeFrame {
  readonly packetId: number
  readonly requests: readonly { readonly filter: string; readonly qos: QoS }[]
}

export interface UnsubscribeFrame {
  readonly packetId: number
  readonly filters: readonly string[]
}

/**
 * Undefined if malformed: packet id 0, no filter [MQTT-3.8.3-3], a filter that is none [MQTT-4.7.1-2]
 * [MQTT-4.7.1-3] [MQTT-4.7.3-1], QoS 3, or reserved bits beside it, which MQTT 3.1 does not use [MQTT-3-8.3-4].
 */
export function readSubscribe(
  buffer: Buffer,
  start: number,
  end: number,
  protocolLevel: 0 | 3 | 4,
): SubscribeFrame | undefined {
  const packetId = readPacketId(buffer, start, end)
  const requests: { filter: string; qos: QoS }[] = []
  let offset = start + 2
  while (offset < end) {
    const filterEnd = stringEnd(buffer, offset, end)
    const filter = readUtf8(buffer, offset + 2, filterEnd)
    const options = buffer[filterEnd] as number
    const qos = protocolLevel === 3 ? options & 3 : options
    if (filterEnd >= end || filter === undefined || !isValidTopicFilter(filter) || qos > 2)
      return undefined
    requests.push({ filter, qos: qos as QoS })
    offset = filterEnd + 1
  }
  return packetId === 0 || requests.length === 0 ? undefined : { packetId, requests }
}

/** Undefined if malformed: packet id 0, no filter [MQTT-3.10.3-2], a filter that is none, as in SUBSCRIBE. */
export function readUnsubscribe(
  buffer: Buffer,
  start: number,
  end: number,
): UnsubscribeFrame | undefined {
  const packetId = readPacketId(buffer, start, end)
  const filters: string[] = []
  let offset = start + 2
  while (offset < end) {
    const filterEnd = stringEnd(buffer, offset, end)
    const filter = readUtf8(buffer, offset + 2, filterEnd)
    if (filterEnd > end || filter === undefined || !isValidTopicFilter(filter)) return undefined
    filters.push(filter)
    offset = filterEnd
  }
  return packetId === 0 || filters.length === 0 ? undefined : { packetId, filters }
}

/** The packet id at the start of a body; 0, which no packet may have [MQTT-2.3.1-1], if it is cut short. */
export function readPacketId(buffer: Buffer, start: number, end: number): number {
  return start + 2 > end ? 0 : ((buffer[start] as number) << 8) | (buffer[start + 1] as number)
}

/** Where a length-prefixed string ends; behind `end` if it does not fit. */
function stringEnd(buffer: Buffer, offset: number, end: number): number {
  return offset + 2 > end ? end + 1 : offset + 2 + buffer.readUInt16BE(offset)
}
