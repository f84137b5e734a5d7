/** Packets of a client as bytes. Used off the hot path; publish-frame.ts is the hot one. */
import { PacketType, type Qos } from './packet.ts'

export interface ConnectFields {
  readonly clientId: string
  readonly clean: boolean
  readonly keepAliveS: number
  readonly username?: string | undefined
  readonly password?: string | undefined
}

export interface PublishFields {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain?: boolean
  readonly packetId?: number
}

const PROTOCOL_LEVEL = 4 // MQTT 3.1.1

const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([u16(bytes.length), bytes])
}

/** The remaining length field: seven bits a byte, low ones first [MQTT-2.2.3]. */
export const encodeRemainingLength = (length: number): Buffer => {
  const bytes: number[] = []
  let rest = length
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? low | 0x80 : low)
  } while (rest > 0)
  return Buffer.from(bytes)
}

const frame = (type: PacketType, flags: number, body: readonly Uint8Array[]): Buffer => {
  const length = body.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.of((type << 4) | flags), encodeRemainingLength(length), ...body])
}

/** CONNECT without a will. A password without a user name is left out [MQTT-3.1.2-22]. */
export const encodeConnect = (fields: ConnectFields): Buffer => {
  const { username, password } = fields
  let flags = fields.clean ? 0x02 : 0
  const body = [text(fields.clientId)]
  if (username !== undefined) {
    flags |= 0x80
    body.push(text(username))
    if (password !== undefined) {
      flags |= 0x40
      body.push(text(password))
    }
  }
  const head = [text('MQTT'), Buffer.of(PROTOCOL_LEVEL, flags), u16(fields.keepAliveS)]
  return frame(PacketType.connect, 0, [...head, ...body])
}

/** SUBSCRIBE to one filter. */
export const encodeSubscribe = (packetId: number, filter: string, qos: Qos): Buffer =>
  frame(PacketType.subscribe, 0x02, [u16(packetId), text(filter), Buffer.of(qos)])

/** PUBLISH; a packet id is only written for QoS 1 and 2 [MQTT-2.3.1-5]. */
export const encodePublish = (fields: PublishFields): Buffer => {
  const flags = (fields.qos << 1) | (fields.retain === true ? 1 : 0)
  const id = fields.qos > 0 ? [u16(fields.packetId ?? 0)] : []
  return frame(PacketType.publish, flags, [text(fields.topic), ...id, fields.payload])
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. */
export const encodeAcknowledgement = (
  type: 4 | 5 | 6 | 7, // the four of PacketType
  packetId: number,
): Buffer => frame(type, type === PacketType.pubrel ? 0x02 : 0, [u16(packetId)])

export const PINGREQ: Buffer = frame(PacketType.pingreq, 0, [])
export const DISCONNECT: Buffer = frame(PacketType.disconnect, 0, [])
