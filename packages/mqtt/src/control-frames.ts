/** CONNECT, SUBSCRIBE and UNSUBSCRIBE as aedes is to see them, and SUBACK as the client is. */
import type { QoS } from './qos.ts'
import { PacketType } from './packet-type.ts'
import { lengthBytes, writeLength } from './publish-frame.ts'

export const REFUSED = 0x80
const CONNECT_HEAD = prefixed('MQTT')

/** Of MQTT 3.1.1, whatever the client speaks, without keep-alive, will and credentials: they are not for aedes. */
export function encodeConnect(clientId: string, clean: boolean): Buffer {
  const id = prefixed(clientId)
  const length = CONNECT_HEAD.length + 4 + id.length
  const bytes = Buffer.alloc(1 + lengthBytes(length) + length)
  bytes[0] = PacketType.CONNECT << 4
  const head = writeLength(bytes, 1, length)
  CONNECT_HEAD.copy(bytes, head)
  bytes[head + CONNECT_HEAD.length] = 4
  bytes[head + CONNECT_HEAD.length + 1] = clean ? 2 : 0
  id.copy(bytes, head + CONNECT_HEAD.length + 4)
  return bytes
}

export function encodeSubscribe(
  packetId: number,
  requests: readonly { readonly filter: string; readonly qos: QoS }[],
): Buffer {
  const parts = requests.map(({ filter, qos }) => prefixed(filter, qos))
  return withPacketId((PacketType.SUBSCRIBE << 4) | 2, packetId, Buffer.concat(parts))
}

export function encodeUnsubscribe(packetId: number, filters: readonly string[]): Buffer {
  const parts = filters.map((filter) => prefixed(filter))
  return withPacketId((PacketType.UNSUBSCRIBE << 4) | 2, packetId, Buffer.concat(parts))
}

/** [MQTT-3.9.3-1]: one code per filter, in their order. */
export function encodeSuback(packetId: number, codes: readonly number[]): Buffer {
  return withPacketId(PacketType.SUBACK << 4, packetId, Buffer.from(codes))
}

function prefixed(text: string, trailer?: number): Buffer {
  const bytes = Buffer.allocUnsafe(2 + Buffer.byteLength(text) + (trailer === undefined ? 0 : 1))
  bytes.writeUInt16BE(Buffer.byteLength(text), 0)
  bytes.write(text, 2)
  if (trailer !== undefined) bytes[bytes.length - 1] = trailer
  return bytes
}

function withPacketId(firstByte: number, packetId: number, rest: Buffer): Buffer {
  const length = 2 + rest.length
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(length) + length)
  bytes[0] = firstByte
  const offset = bytes.writeUInt16BE(packetId, writeLength(bytes, 1, length))
  rest.copy(bytes, offset)
  return bytes
}
