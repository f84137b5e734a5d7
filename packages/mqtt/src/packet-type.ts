import type { PacketFault } from './packet-fault.ts'

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
  /** Of MQTT 5. */
  AUTH: 15,
} as const

export type PacketTypeName = Lowercase<keyof typeof PacketType>

export const packetTypeNames = Object.fromEntries(
  Object.entries(PacketType).map(([name, type]) => [type, name.toLowerCase()]),
) as Readonly<Record<number, PacketTypeName>>

/** What is wrong with a first byte, for all 256 of them. */
export type FirstByteFaults = readonly (PacketFault | undefined)[]

/**
 * By protocol level: reserved types, types that only servers send, wrong flags [MQTT-2.2.2-2], QoS 3
 * [MQTT-3.3.1-4], DUP at QoS 0 [MQTT-3.3.1-2]. MQTT 3.1 does not use the flags of most types, and sets DUP where
 * a SUBSCRIBE, UNSUBSCRIBE or PUBREL is sent again.
 */
export const firstByteFaults: Readonly<Record<3 | 4 | 5, FirstByteFaults>> = {
  3: faultsWith(level3Fault),
  4: faultsWith(level4Fault),
  5: faultsWith((type, flags) =>
    // [MQTT-3.15.1-1]
    type === PacketType.AUTH && flags === 0 ? undefined : level4Fault(type, flags),
  ),
}

/** Before the protocol level is known: anything but CONNECT, whose flags MQTT 3.1 does not use [MQTT-3.1.0-1]. */
export const beforeConnectFaults: FirstByteFaults = faultsWith((type) => {
  if (type === PacketType.CONNECT) return undefined
  return type === 0 || type === 15 ? 'malformed' : 'protocol-error'
})

function faultsWith(
  fault: (type: number, flags: number) => PacketFault | undefined,
): FirstByteFaults {
  return Array.from({ length: 256 }, (_, byte) => fault(byte >> 4, byte & 15))
}

function level3Fault(type: number, flags: number): PacketFault | undefined {
  const qos = (flags >> 1) & 3
  switch (type) {
    case PacketType.PUBLISH:
      return qos === 3 ? 'malformed' : undefined
    case PacketType.SUBSCRIBE:
    case PacketType.UNSUBSCRIBE:
    case PacketType.PUBREL:
      return qos === 1 ? undefined : 'malformed'
    default:
      return level4Fault(type, 0)
  }
}

function level4Fault(type: number, flags: number): PacketFault | undefined {
  switch (type) {
    case PacketType.PUBLISH: {
      const qos = (flags >> 1) & 3
      return qos === 3 || (qos === 0 && flags & 8) ? 'malformed' : undefined
    }
    case PacketType.SUBSCRIBE:
    case PacketType.UNSUBSCRIBE:
    case PacketType.PUBREL:
      return flags === 2 ? undefined : 'malformed'
    case PacketType.CONNECT:
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBCOMP:
    case PacketType.PINGREQ:
    case PacketType.DISCONNECT:
      return flags === 0 ? undefined : 'malformed'
    case PacketType.CONNACK:
    case PacketType.SUBACK:
    case PacketType.UNSUBACK:
    case PacketType.PINGRESP:
      return 'protocol-error'
    default:
      return 'malformed'
  }
}
