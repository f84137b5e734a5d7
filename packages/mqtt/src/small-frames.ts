/** Frames without a payload. Those that never differ are made once. */
import { PacketType } from './packet-type.ts'

const PUBREL_FLAGS = 2

/** PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK: a type and a packet id. */
export function encodeWithPacketId(type: number, packetId: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes[0] = (type << 4) | (type === PacketType.PUBREL ? PUBREL_FLAGS : 0)
  bytes[1] = 2
  bytes[2] = packetId >> 8
  bytes[3] = packetId & 255
  return bytes
}

/** [MQTT-3.2.2-4]: session present only with return code 0. */
export function encodeConnack(returnCode: number, sessionPresent: boolean): Buffer {
  return Buffer.from([
    PacketType.CONNACK << 4,
    2,
    sessionPresent && returnCode === 0 ? 1 : 0,
    returnCode,
  ])
}
