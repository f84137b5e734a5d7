/**
 * CONNACK, SUBACK, UNSUBACK, DISCONNECT and AUTH of MQTT 5, and the acknowledgements of a PUBLISH where their reason
 * code is not success. Bound: the Maximum Packet Size of the client. What only explains (the reason string) is left
 * out where the packet would be larger; undefined: it would be larger all the same [MQTT-3.1.2-24].
 */
import { PacketType } from './packet-type.ts'
import { Property } from './property-table.ts'
import { PropertyWriter } from './property-writer.ts'
import { lengthBytes, writeLength } from './publish-frame.ts'
import type {
  AuthCode,
  ConnackCode,
  DisconnectCode,
  PublishCode,
  ReleaseCode,
  SubackCode,
  UnsubackCode,
} from './reason-code.ts'

/** What a server says of itself and of the session; what is undefined is not said. */
export interface ConnackProperties {
  readonly sessionExpiryS?: number | undefined
  readonly receiveMaximum?: number | undefined
  readonly packetBytesMax?: number | undefined
  readonly assignedClientId?: string | undefined
  readonly topicAliasMaximum?: number | undefined
  readonly serverKeepAliveS?: number | undefined
  readonly responseInformation?: string | undefined
  readonly serverReference?: string | undefined
  readonly authenticationMethod?: string | undefined
  readonly authenticationData?: Buffer | undefined
  readonly subscriptionIdentifiersAvailable?: boolean | undefined
}

export interface Explained {
  readonly reason?: string | undefined
  /** Of the packet, as the client has said; undefined: any. */
  readonly packetBytesMax: number | undefined
}

export function encodeConnack5(
  code: ConnackCode,
  sessionPresent: boolean,
  properties: ConnackProperties,
  explained: Explained,
): Buffer | undefined {
  // [MQTT-3.2.2-6]: session present only with code 0.
  const head = [sessionPresent && code === 0 ? 1 : 0, code]
  const said = (): PropertyWriter => {
    const writer = new PropertyWriter()
    const { sessionExpiryS, receiveMaximum, packetBytesMax, topicAliasMaximum } = properties
    if (sessionExpiryS !== undefined)
      writer.fourBytes(Property.SESSION_EXPIRY_INTERVAL, sessionExpiryS)
    if (receiveMaximum !== undefined) writer.twoBytes(Property.RECEIVE_MAXIMUM, receiveMaximum)
    if (packetBytesMax !== undefined) writer.fourBytes(Property.MAXIMUM_PACKET_SIZE, packetBytesMax)
    if (topicAliasMaximum !== undefined)
      writer.twoBytes(Property.TOPIC_ALIAS_MAXIMUM, topicAliasMaximum)
    if (properties.assignedClientId !== undefined)
      writer.text(Property.ASSIGNED_CLIENT_IDENTIFIER, properties.assignedClientId)
    if (properties.subscriptionIdentifiersAvailable === false)
      writer.byte(Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0)
    if (properties.serverKeepAliveS !== undefined)
      writer.twoBytes(Property.SERVER_KEEP_ALIVE, properties.serverKeepAliveS)
    if (properties.responseInformation !== undefined)
      writer.text(Property.RESPONSE_INFORMATION, properties.responseInformation)
    if (properties.serverReference !== undefined)
      writer.text(Property.SERVER_REFERENCE, properties.serverReference)
    addAuthentication(writer, properties)
    return writer
  }
  return explain(PacketType.CONNACK << 4, head, said, [], explained)
}

/** [MQTT-3.8.4-6]: one code for each filter, in their order. */
export function encodeSuback5(
  packetId: number,
  codes: readonly SubackCode[],
  explained: Explained,
): Buffer | undefined {
  const head = [packetId >> 8, packetId & 255]
  return explain(PacketType.SUBACK << 4, head, () => new PropertyWriter(), codes, explained)
}

/** [MQTT-3.11.3-1]: one code for each filter, in their order. */
export function encodeUnsuback5(
  packetId: number,
  codes: readonly UnsubackCode[],
  explained: Explained,
): Buffer | undefined {
  const head = [packetId >> 8, packetId & 255]
  return explain(PacketType.UNSUBACK << 4, head, () => new PropertyWriter(), codes, explained)
}

export function encodeDisconnect5(
  code: DisconnectCode,
  serverReference: string | undefined,
  explained: Explained,
): Buffer | undefined {
  const said = (): PropertyWriter => {
    const writer = new PropertyWriter()
    if (serverReference !== undefined) writer.text(Property.SERVER_REFERENCE, serverReference)
    return writer
  }
  return explain(PacketType.DISCONNECT << 4, [code], said, [], explained)
}

export interface Authentication {
  readonly authenticationMethod?: string | undefined
  readonly authenticationData?: Buffer | undefined
}

export function encodeAuth(
  code: AuthCode,
  authentication: Authentication,
  explained: Explained,
): Buffer | undefined {
  const said = (): PropertyWriter => addAuthentication(new PropertyWriter(), authentication)
  return explain(PacketType.AUTH << 4, [code], said, [], explained)
}

/** PUBACK or PUBREC. */
export function encodePublishAnswer(
  type: typeof PacketType.PUBACK | typeof PacketType.PUBREC,
  packetId: number,
  code: PublishCode,
): Buffer {
  return encodeAnswer(type << 4, packetId, code)
}

/** PUBREL or PUBCOMP. */
export function encodeReleaseAnswer(
  type: typeof PacketType.PUBREL | typeof PacketType.PUBCOMP,
  packetId: number,
  code: ReleaseCode,
): Buffer {
  return encodeAnswer((type << 4) | (type === PacketType.PUBREL ? 2 : 0), packetId, code)
}

/** The code is left out where it is success [MQTT 5, section 3.4.2.1]. */
function encodeAnswer(firstByte: number, packetId: number, code: number): Buffer {
  const id = [packetId >> 8, packetId & 255]
  return frame(firstByte, code === 0 ? id : [...id, code])
}

function addAuthentication(
  writer: PropertyWriter,
  { authenticationMethod, authenticationData }: Authentication,
): PropertyWriter {
  if (authenticationMethod !== undefined)
    writer.text(Property.AUTHENTICATION_METHOD, authenticationMethod)
  if (authenticationData !== undefined)
    writer.binary(Property.AUTHENTICATION_DATA, authenticationData)
  return writer
}

/** With the reason string if it fits, else without. */
function explain(
  firstByte: number,
  head: readonly number[],
  said: () => PropertyWriter,
  tail: readonly number[],
  { reason, packetBytesMax }: Explained,
): Buffer | undefined {
  const withProperties = ({ bytes }: PropertyWriter): Buffer | undefined =>
    bounded(frame(firstByte, head, bytes, tail), packetBytesMax)
  if (reason !== undefined) {
    const whole = withProperties(said().text(Property.REASON_STRING, reason))
    if (whole !== undefined) return whole
  }
  return withProperties(said())
}

function bounded(bytes: Buffer, packetBytesMax: number | undefined): Buffer | undefined {
  return packetBytesMax !== undefined && bytes.length > packetBytesMax ? undefined : bytes
}

const NOTHING: readonly number[] = []

function frame(
  firstByte: number,
  head: readonly number[],
  properties?: Buffer,
  tail: readonly number[] = NOTHING,
): Buffer {
  const length = head.length + (properties?.length ?? 0) + tail.length
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(length) + length)
  bytes[0] = firstByte
  let offset = writeLength(bytes, 1, length)
  bytes.set(head, offset)
  offset += head.length
  if (properties !== undefined) {
    bytes.set(properties, offset)
    offset += properties.length
  }
  bytes.set(tail, offset)
  return bytes
}
