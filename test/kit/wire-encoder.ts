/**
 * MQTT 3.1 and 3.1.1 packets as bytes, written by hand and independent of the broker's codec and of the
 * simulator's. Nothing is checked: every field can be given wrong on purpose, and `frame` takes any
 * first byte, body and remaining length.
 */

/** Text is encoded as UTF-8; bytes are written as they are, so ill-formed text can be sent. */
export type WireText = string | Uint8Array

export type QoS = 0 | 1 | 2

const PACKET = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const

export interface WireWill {
  readonly topic: WireText
  readonly payload?: WireText
  readonly qos?: number
  readonly retain?: boolean
}

export interface ConnectFields {
  readonly protocolName?: WireText
  readonly protocolLevel?: number
  /** Replaces the flags that follow from the other fields. */
  readonly flags?: number
  /** Default: true. */
  readonly clean?: boolean
  /** Default: 0, no keep-alive. */
  readonly keepAliveSeconds?: number
  readonly clientId?: WireText
  readonly will?: WireWill
  readonly username?: WireText
  readonly password?: WireText
}

export interface PublishFields {
  readonly topic: WireText
  readonly payload?: WireText
  readonly qos?: number
  readonly retain?: boolean
  readonly dup?: boolean
  /** Written if QoS > 0, or whenever it is given. */
  readonly packetId?: number
}

/** What makes a CONNECT one of MQTT 3.1. */
export const MQTT_31 = { protocolName: 'MQIsdp', protocolLevel: 3 } as const

export function bytesOf(text: WireText): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text)
}

function uint16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff])
}

/** A string or binary field: two bytes of length, then the bytes. */
export function field(text: WireText): Buffer {
  const bytes = bytesOf(text)
  return Buffer.concat([uint16(bytes.length), bytes])
}

export function remainingLength(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  do {
    const digit = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? digit | 0x80 : digit)
  } while (rest > 0)
  return Buffer.from(bytes)
}

/** A whole packet: first byte, remaining length (of the body, unless another is given), body. */
export function frame(
  firstByte: number,
  body: Uint8Array = Buffer.alloc(0),
  length: Uint8Array = remainingLength(body.length),
): Buffer {
  return Buffer.concat([Buffer.from([firstByte]), length, body])
}

export function encodeConnect(fields: ConnectFields = {}): Buffer {
  const { clean = true, will, username, password } = fields
  const willFlags = will ? 0x04 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0
  const flags =
    (clean ? 0x02 : 0) |
    willFlags |
    (username === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40)
  const parts = [
    field(fields.protocolName ?? 'MQTT'),
    Buffer.from([fields.protocolLevel ?? 4, fields.flags ?? flags]),
    uint16(fields.keepAliveSeconds ?? 0),
    field(fields.clientId ?? ''),
  ]
  if (will) parts.push(field(will.topic), field(will.payload ?? ''))
  if (username !== undefined) parts.push(field(username))
  if (password !== undefined) parts.push(field(password))
  return frame(PACKET.connect << 4, Buffer.concat(parts))
}

export function encodePublish(fields: PublishFields): Buffer {
  const qos = fields.qos ?? 0
  const firstByte =
    (PACKET.publish << 4) | (fields.dup ? 0x08 : 0) | (qos << 1) | (fields.retain ? 0x01 : 0)
  const parts = [field(fields.topic)]
  if (fields.packetId !== undefined) parts.push(uint16(fields.packetId))
  else if (qos > 0) parts.push(uint16(1))
  parts.push(bytesOf(fields.payload ?? ''))
  return frame(firstByte, Buffer.concat(parts))
}

export function encodePuback(packetId: number): Buffer {
  return frame(PACKET.puback << 4, uint16(packetId))
}

export function encodePubrec(packetId: number): Buffer {
  return frame(PACKET.pubrec << 4, uint16(packetId))
}

export function encodePubrel(packetId: number): Buffer {
  return frame((PACKET.pubrel << 4) | 0x02, uint16(packetId))
}

export function encodePubcomp(packetId: number): Buffer {
  return frame(PACKET.pubcomp << 4, uint16(packetId))
}

/** Filters as `[filter, requested QoS]`; the QoS byte is written as given. */
export function encodeSubscribe(
  packetId: number,
  filters: readonly (readonly [WireText, number])[],
): Buffer {
  const parts = [uint16(packetId)]
  for (const [filter, qos] of filters) parts.push(field(filter), Buffer.from([qos]))
  return frame((PACKET.subscribe << 4) | 0x02, Buffer.concat(parts))
}

export function encodeUnsubscribe(packetId: number, filters: readonly WireText[]): Buffer {
  const parts = [uint16(packetId), ...filters.map((filter) => field(filter))]
  return frame((PACKET.unsubscribe << 4) | 0x02, Buffer.concat(parts))
}

export function encodePingreq(): Buffer {
  return frame(PACKET.pingreq << 4)
}

export function encodeDisconnect(): Buffer {
  return frame(PACKET.disconnect << 4)
}
