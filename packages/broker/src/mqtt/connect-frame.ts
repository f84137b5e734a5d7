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
  /** A copy, as the will is. */
  readonly password: Buffer | undefined
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

export type ConnectLimits = Pick<
  Limits,
  'clientIdBytesMax' | 'usernameBytesMax' | 'topicBytesMax' | 'topicLevelsMax'
>

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
  const isStrict = level === 4
  // [MQTT-3.1.2-3]
  if (isStrict && flags & RESERVED) return 'malformed-packet'
  const hasWill = (flags & WILL) !== 0
  const willQos = (flags & WILL_QOS) >> 3
  // [MQTT-3.1.2-14]
  if (hasWill && willQos === 3) return 'malformed-packet'
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15]
  if (isStrict && !hasWill && flags & (WILL_QOS | WILL_RETAIN)) return 'malformed-packet'
  // [MQTT-3.1.2-22]; MQTT 3.1 has no password without a user name either.
  if (flags & PASSWORD && !(flags & USERNAME)) return 'malformed-packet'

  const clientId = text()
  let will: Message | undefined
  if (hasWill) {
    const topic = text()
    const payload = Buffer.from(bytes())
    will = new Message(topic, payload, willQos as QoS, (flags & WILL_RETAIN) !== 0)
  }
  const isThere = (flag: number): boolean => (flags & flag) !== 0 && (isStrict || offset < end)
  const username = isThere(USERNAME) ? text() : undefined
  const password = isThere(PASSWORD) ? Buffer.from(bytes()) : undefined
  if (broken || offset !== end) return 'malformed-packet'
  const fault = will === undefined ? undefined : topicFault(will.topic, limits)
  if (fault !== undefined) return fault

  const clean = (flags & CLEAN) !== 0
  // [MQTT-3.1.3-8]: an empty client id is only for clean sessions; 3.1 knows none at all.
  if (clientId === '' && (!clean || level === 3)) return 'client-id-rejected'
  if (Buffer.byteLength(clientId) > limits.clientIdBytesMax) return 'client-id-rejected'
  if (username !== undefined && Buffer.byteLength(username) > limits.usernameBytesMax)
    return 'bad-credentials'
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
): CloseReasonId | undefined {
  if (!isValidTopicName(topic)) return 'malformed-packet'
  if (Buffer.byteLength(topic) > topicBytesMax || topicLevels(topic) > topicLevelsMax)
    return 'topic-too-long'
  return undefined
}
