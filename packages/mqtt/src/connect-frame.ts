import type { QoS } from './qos.ts'
import { isValidTopicName, topicLevels } from './topic.ts'
import type { PacketFault } from './packet-fault.ts'
import { readUtf8 } from './utf8.ts'

/** The message of a will. */
export interface ConnectWill {
  readonly topic: string
  /** A copy: it outlives the read buffer. */
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean
}

export interface ConnectFrame {
  readonly protocolLevel: 3 | 4
  readonly clean: boolean
  readonly keepAliveS: number
  readonly clientId: string
  readonly username: string | undefined
  /** A copy, as the payload of the will is. */
  readonly password: Buffer | undefined
  readonly will: ConnectWill | undefined
}

const PROTOCOL_NAMES: Readonly<Record<string, readonly number[]>> = { MQTT: [4], MQIsdp: [3] }
const USERNAME = 0x80
const PASSWORD = 0x40
const WILL_RETAIN = 0x20
const WILL_QOS = 0x18
const WILL = 0x04
const CLEAN = 0x02
const RESERVED = 0x01

/** Bytes, and levels of the topic of a will. */
export interface ConnectLimits {
  readonly clientIdBytesMax: number
  readonly usernameBytesMax: number
  readonly topicBytesMax: number
  readonly topicLevelsMax: number
}

/**
 * The packet, or why the connection must end [MQTT 3.1.1, section 3.1]. A will has the limits of a PUBLISH.
 *
 * MQTT 3.1 says less, and its clients are taken at its word: the reserved flag is not used, those of a will are
 * ignored without a will, and a user name or password may be missing although its flag is set. Its 23 characters
 * for a client id are not asked for, as other brokers do not: devices that are named by a UUID have 36.
 */
export function readConnect(
  buffer: Buffer,
  start: number,
  end: number,
  limits: ConnectLimits,
): ConnectFrame | PacketFault {
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
  if (broken || offset + 4 > end) return 'malformed'
  const level = buffer[offset] as number
  const flags = buffer[offset + 1] as number
  const keepAliveS = buffer.readUInt16BE(offset + 2)
  offset += 4
  const levels = Object.hasOwn(PROTOCOL_NAMES, name) ? PROTOCOL_NAMES[name] : undefined
  // [MQTT-3.1.2-1]: another protocol's name ends the connection without an answer.
  if (levels === undefined) return 'protocol-error'
  // [MQTT-3.1.2-2]; bit 7 marks a bridge in 3.1 dialects and is no version of the standard.
  if (!levels.includes(level)) return 'unsupported-version'
  const isStrict = level === 4
  // [MQTT-3.1.2-3]
  if (isStrict && flags & RESERVED) return 'malformed'
  const hasWill = (flags & WILL) !== 0
  const willQos = (flags & WILL_QOS) >> 3
  // [MQTT-3.1.2-14]
  if (hasWill && willQos === 3) return 'malformed'
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15]
  if (isStrict && !hasWill && flags & (WILL_QOS | WILL_RETAIN)) return 'malformed'
  // [MQTT-3.1.2-22]; MQTT 3.1 has no password without a user name either.
  if (flags & PASSWORD && !(flags & USERNAME)) return 'malformed'

  const clientId = text()
  let will: ConnectWill | undefined
  if (hasWill) {
    const topic = text()
    const payload = Buffer.from(bytes())
    will = { topic, payload, qos: willQos as QoS, retain: (flags & WILL_RETAIN) !== 0 }
  }
  const isThere = (flag: number): boolean => (flags & flag) !== 0 && (isStrict || offset < end)
  const username = isThere(USERNAME) ? text() : undefined
  const password = isThere(PASSWORD) ? Buffer.from(bytes()) : undefined
  if (broken || offset !== end) return 'malformed'
  const fault = will === undefined ? undefined : topicFault(will.topic, limits)
  if (fault !== undefined) return fault

  const clean = (flags & CLEAN) !== 0
  // [MQTT-3.1.3-8]: an empty client id is only for clean sessions; 3.1 knows none at all.
  if (clientId === '' && (!clean || level === 3)) return 'client-id-invalid'
  if (Buffer.byteLength(clientId) > limits.clientIdBytesMax) return 'client-id-invalid'
  if (username !== undefined && Buffer.byteLength(username) > limits.usernameBytesMax)
    return 'username-too-long'
  return {
    protocolLevel: level as 3 | 4,
    clean,
    keepAliveS,
    clientId,
    username,
    password,
    will,
  }
}

function topicFault(
  topic: string,
  { topicBytesMax, topicLevelsMax }: ConnectLimits,
): PacketFault | undefined {
  if (!isValidTopicName(topic)) return 'malformed'
  if (Buffer.byteLength(topic) > topicBytesMax || topicLevels(topic) > topicLevelsMax)
    return 'topic-too-long'
  return undefined
}
