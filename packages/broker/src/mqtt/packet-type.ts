import type { CloseReasonId } from '../close-reason.ts'

/** Control packet types: the upper four bits of a frame's first byte [MQTT 3.1.1, table 2.1]. */
export const PacketType = {
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
} as const

export const packetTypeNames = Object.fromEntries(
  Object.entries(PacketType).map(([name, type]) => [type, name.toLowerCase()]),
) as Readonly<Record<number, string>>

/**
 * What is wrong with a first byte that a client may not send, for all 256 of them: reserved types, types
 * that only servers send, wrong flags [MQTT-2.2.2-2], QoS 3 [MQTT-3.3.1-4], DUP at QoS 0 [MQTT-3.3.1-2].
 */
export const firstByteFaults: readonly (CloseReasonId | undefined)[] = Array.from(
  { length: 256 },
  (_, byte) => firstByteFault(byte >> 4, byte & 15),
)

function firstByteFault(type: number, flags: number): CloseReasonId | undefined {
  switch (type) {
    case PacketType.PUBLISH: {
      const qos = (flags >> 1) & 3
      return qos === 3 || (qos === 0 && flags & 8) ? 'malformed-packet' : undefined
    }
    case PacketType.SUBSCRIBE:
    case PacketType.UNSUBSCRIBE:
    case PacketType.PUBREL:
      return flags === 2 ? undefined : 'malformed-packet'
    case PacketType.CONNECT:
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBCOMP:
    case PacketType.PINGREQ:
    case PacketType.DISCONNECT:
      return flags === 0 ? undefined : 'malformed-packet'
    case PacketType.CONNACK:
    case PacketType.SUBACK:
    case PacketType.UNSUBACK:
    case PacketType.PINGRESP:
      return 'protocol-violation'
    default:
      return 'malformed-packet'
  }
}
