import type { QoS } from './qos.ts'
import { isValidTopicName, topicLevels } from './topic.ts'
import type { PacketFault } from './packet-fault.ts'
import { ABSENT, PropertyReader } from './property-reader.ts'
import { PropertyCarrier } from './property-table.ts'
import { readUtf8 } from './utf8.ts'

/** The message of a will. */
export interface ConnectWill {
  readonly topic: string
  /** A copy: it outlives the read buffer. */
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean
  /** Published so many seconds after the end of the connection. */
  readonly delayS: number
  /** Seconds from its publication; undefined: it does not expire. */
  readonly expiryS: number | undefined
  /** As they came, without delay and expiry; a copy. */
  readonly properties: Buffer | undefined
}

export type ProtocolLevel = 3 | 4 | 5

export interface ConnectFrame {
  readonly protocolLevel: ProtocolLevel
  /** Clean Session of MQTT 3.1 and 3.1.1, Clean Start of MQTT 5: an earlier session is not resumed. */
  readonly clean: boolean
  /** Seconds that the session outlives its connection; SESSION_NEVER_EXPIRES; undefined: what the server is set to. */
  readonly sessionExpiryS: number | undefined
  readonly keepAliveS: number
  readonly clientId: string
  readonly username: string | undefined
  /** A copy, as the payload of the will is. */
  readonly password: Buffer | undefined
  readonly will: ConnectWill | undefined
  /** Undefined below MQTT 5. */
  readonly properties: ConnectProperties | undefined
}

/** What the client says of itself, with the defaults of MQTT 5 section 3.1.2.11. */
export interface ConnectProperties {
  /** QoS 1 and 2 messages that may be on their way to it. */
  readonly receiveMaximum: number
  /** Of a packet to it; undefined: any that there is. */
  readonly packetBytesMax: number | undefined
  readonly topicAliasMaximum: number
  /** Reason strings and user properties may be sent with every packet, not only with CONNACK and DISCONNECT. */
  readonly problemInformation: boolean
  readonly responseInformation: boolean
  readonly authenticationMethod: string | undefined
  readonly authenticationData: Buffer | undefined
  readonly userProperties: readonly (readonly [name: string, value: string])[]
}

/** The Session Expiry Interval of a session that does not expire [MQTT 5, section 3.1.2.11.2]. */
export const SESSION_NEVER_EXPIRES = 0xffffffff

const RECEIVE_MAXIMUM = 65_535
const PROTOCOL_NAMES: Readonly<Record<string, readonly number[]>> = {
  MQTT: [4, 5],
  MQIsdp: [3],
}
const USERNAME = 0x80
const PASSWORD = 0x40
const WILL_RETAIN = 0x20
const WILL_QOS = 0x18
const WILL = 0x04
const CLEAN = 0x02
const RESERVED = 0x01
/** A CONNECT is read in one go: one for all. */
const reader = new PropertyReader()

/** Bytes, and levels of the topic of a will. */
export interface ConnectLimits {
  /** The latest version that is spoken. */
  readonly protocolLevelMax: 4 | 5
  readonly clientIdBytesMax: number
  readonly usernameBytesMax: number
  readonly topicBytesMax: number
  readonly topicLevelsMax: number
}

/**
 * The packet, or why the connection must end [section 3.1 of MQTT 3.1.1 and 5]. A will has the limits of a PUBLISH.
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
  if (!levels.includes(level) || level > limits.protocolLevelMax) return 'unsupported-version'
  const isStrict = level !== 3
  // [MQTT-3.1.2-3]
  if (isStrict && flags & RESERVED) return 'malformed'
  const hasWill = (flags & WILL) !== 0
  const willQos = (flags & WILL_QOS) >> 3
  // [MQTT-3.1.2-14]
  if (hasWill && willQos === 3) return 'malformed'
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15]
  if (isStrict && !hasWill && flags & (WILL_QOS | WILL_RETAIN)) return 'malformed'
  // [MQTT-3.1.2-22] of 3.1.1; MQTT 3.1 has no password without a user name either, MQTT 5 has.
  if (level < 5 && flags & PASSWORD && !(flags & USERNAME)) return 'malformed'
  const clean = (flags & CLEAN) !== 0

  let sessionExpiryS = clean ? 0 : undefined
  let properties: ConnectProperties | undefined
  if (level === 5) {
    const fault = reader.read(buffer, offset, end, PropertyCarrier.CONNECT)
    if (fault !== undefined) return fault
    properties = connectProperties()
    // [MQTT-3.1.2] 3.1.2.11.10: data belongs to a method.
    if (
      properties.authenticationMethod === undefined &&
      properties.authenticationData !== undefined
    )
      return 'protocol-error'
    sessionExpiryS = reader.sessionExpiryS === ABSENT ? 0 : reader.sessionExpiryS
    offset = reader.end
  }
  const clientId = text()
  let will: ConnectWill | undefined
  if (hasWill) {
    let delayS = 0
    let expiryS: number | undefined
    let rest: Buffer | undefined
    if (level === 5) {
      const fault = broken ? 'malformed' : reader.read(buffer, offset, end, PropertyCarrier.WILL)
      if (fault !== undefined) return fault
      delayS = Math.max(0, reader.willDelayS)
      expiryS = reader.messageExpiryS === ABSENT ? undefined : reader.messageExpiryS
      rest = reader.rest && Buffer.from(reader.rest)
      offset = reader.end
    }
    const topic = text()
    const payload = Buffer.from(bytes())
    const retain = (flags & WILL_RETAIN) !== 0
    will = { topic, payload, qos: willQos as QoS, retain, delayS, expiryS, properties: rest }
  }
  const isThere = (flag: number): boolean => (flags & flag) !== 0 && (isStrict || offset < end)
  const username = isThere(USERNAME) ? text() : undefined
  const password = isThere(PASSWORD) ? Buffer.from(bytes()) : undefined
  if (broken || offset !== end) return 'malformed'
  const fault = will === undefined ? undefined : topicFault(will.topic, limits)
  if (fault !== undefined) return fault

  // [MQTT-3.1.3-8] of 3.1.1: an empty client id is only for clean sessions; 3.1 knows none at all, 5 for all.
  if (clientId === '' && level < 5 && (!clean || level === 3)) return 'client-id-invalid'
  if (Buffer.byteLength(clientId) > limits.clientIdBytesMax) return 'client-id-invalid'
  if (username !== undefined && Buffer.byteLength(username) > limits.usernameBytesMax)
    return 'username-too-long'
  return {
    protocolLevel: level as ProtocolLevel,
    clean,
    sessionExpiryS,
    keepAliveS,
    clientId,
    username,
    password,
    will,
    properties,
  }
}

/** Of the CONNECT that has just been read. */
function connectProperties(): ConnectProperties {
  const { receiveMaximum, packetBytesMax, topicAliasMaximum } = reader
  return {
    receiveMaximum: receiveMaximum === ABSENT ? RECEIVE_MAXIMUM : receiveMaximum,
    packetBytesMax: packetBytesMax === ABSENT ? undefined : packetBytesMax,
    topicAliasMaximum: Math.max(0, topicAliasMaximum),
    problemInformation: reader.requestProblemInformation !== 0,
    responseInformation: reader.requestResponseInformation === 1,
    authenticationMethod: reader.authenticationMethod,
    authenticationData: reader.authenticationData,
    userProperties: reader.userProperties,
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
