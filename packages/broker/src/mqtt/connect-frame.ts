import { isValidTopicName, Message, topicLevels, type QoS } from '@breakwater/bus'
import type { Limits } from '@breakwater/config'
import type { CloseReasonId } from '../close-reason.ts'
import { readUtf8 } from './utf8.ts'

export interface ConnectFrame {
  readonly protocolLevel: 3 | 4
  readonly clean: boolean
  readonly keepAliveS: number
  readonly clientId: string
  readonly username: string | undefined
  /** A copy: it outlives the read buffer. */
  readonly will: Message | undefined
}

const PROTOCOL_NAMES: Readonly<Record<string, readonly number[]>> = { MQTT: [4], MQIsdp: [3] }
const USERNAME = 0x80
const PASSWORD = 0x40
const WILL_RETAIN = 0x20
const WILL_QOS = 0x18
const WILL = 0x04
const CLEAN = 0x02
const RESERVED = 0x01
/** MQTT 3.1 allows 23 characters; later versions leave it to the server. */
const LEVEL_3_CLIENT_ID_MAX = 23

/**
 * The packet, or why the connection must end [MQTT 3.1.1, section 3.1]. A will has the limits of a PUBLISH.
 */
export function readConnect(
  buffer: Buffer,
  start: number,
  end: number,
  limits: Pick<Limits, 'topicBytesMax' | 'topicLevelsMax'>,
): ConnectFrame | CloseReasonId {
  let offset = start
  let broken = false

  const bytes = (): Buffer => {
    const from = offset + 2
    const length = from > end ? 0 : buffer.readUInt16BE(offset)
    if (from + length > end) broken = true
    offset = from + length
    return broken ? buffer.subarray(0, 0) : buffer.subarray(from, offset)
  }
  const text = (): string => {
    const field = bytes()
    const value = readUtf8(field, 0, field.length)
    if (value === undefined) broken = true
    return value ?? ''
  }

  const name = text()
  if (broken || offset + 4 > end) return 'malformed-packet'
  const level = buffer[offset] as number
  const flags = buffer[offset + 1] as number
  const keepAliveS = buffer.readUInt16BE(offset + 2)
  offset += 4
  const levels = Object.hasOwn(PROTOCOL_NAMES, name) ? PROTOCOL_NAMES[name] : undefined
  // [MQTT-3.1.2-1]: another protocol's name ends the connection without an answer.
  if (levels === undefined) return 'protocol-violation'
  // [MQTT-3.1.2-2]; bit 7 marks a bridge in 3.1 dialects and is no version of the standard.
  if (!levels.includes(level)) return 'unsupported-protocol-version'
  // [MQTT-3.1.2-3]
  if (flags & RESERVED) return 'malformed-packet'
  const hasWill = (flags & WILL) !== 0
  const willQos = (flags & WILL_QOS) >> 3
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
  if (willQos === 3 || (!hasWill && flags & (WILL_QOS | WILL_RETAIN))) return 'malformed-packet'
  // [MQTT-3.1.2-22]
  if (flags & PASSWORD && !(flags & USERNAME)) return 'malformed-packet'

  const clientId = text()
  let will: Message | undefined
  if (hasWill) {
    const topic = text()
    const payload = Buffer.from(bytes())
    will = new Message(topic, payload, willQos as QoS, (flags & WILL_RETAIN) !== 0)
  }
  const username = flags & USERNAME ? text() : undefined
  if (flags & PASSWORD) bytes()
  if (broken || offset !== end) return 'malformed-packet'
  const fault = will === undefined ? undefined : topicFault(will.topic, limits)
  if (fault !== undefined) return fault

  const clean = (flags & CLEAN) !== 0
  // [MQTT-3.1.3-8]: an empty client id is only for clean sessions; 3.1 knows none at all.
  if (clientId === '' && (!clean || level === 3)) return 'client-id-rejected'
  if (level === 3 && clientId.length > LEVEL_3_CLIENT_ID_MAX) return 'client-id-rejected'
  return {
    protocolLevel: level as 3 | 4,
    clean,
    keepAliveS,
    clientId,
    username,
    will,
  }
}

function topicFault(
  topic: string,
  { topicBytesMax, topicLevelsMax }: Pick<Limits, 'topicBytesMax' | 'topicLevelsMax'>,
): CloseReasonId | undefined {
  if (!isValidTopicName(topic)) return 'malformed-packet'
  if (Buffer.byteLength(topic) > topicBytesMax || topicLevels(topic) > topicLevelsMax)
    return 'topic-too-long'
  return undefined
}
