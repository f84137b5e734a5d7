/** Names of the MQTT 3.1.1 wire. */

/** Control packet types, MQTT 3.1.1 section 2.2.1. */
export const PacketType = {
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

export type PacketType = (typeof PacketType)[keyof typeof PacketType]

export type Qos = 0 | 1 | 2

/** What a CONNACK other than 0 means, section 3.2.2.3. */
export const CONNACK_REFUSALS: Readonly<Record<number, string>> = {
  1: 'unacceptable protocol version',
  2: 'client id rejected',
  3: 'server unavailable',
  4: 'bad user name or password',
  5: 'not authorized',
}

/** The peer sent bytes that are not MQTT. */
export class WireError extends Error {
  override name = 'WireError'
}
