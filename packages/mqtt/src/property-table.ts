/** Properties of MQTT 5 (section 2.2.2.2): which there are, of which type, and in which packets a client may send them. */

/** Packets of a client that have properties; the will has its own list in CONNECT [MQTT 5, section 3.1.3.2]. */
export const PropertyCarrier = {
  CONNECT: 1,
  WILL: 2,
  PUBLISH: 4,
  PUBACK: 8,
  PUBREC: 16,
  PUBREL: 32,
  PUBCOMP: 64,
  SUBSCRIBE: 128,
  UNSUBSCRIBE: 256,
  DISCONNECT: 512,
  AUTH: 1024,
} as const

export type PropertyCarrier = (typeof PropertyCarrier)[keyof typeof PropertyCarrier]

/** How a value is written [MQTT 5, section 1.5]. */
export const PropertyType = {
  BYTE: 0,
  TWO_BYTES: 1,
  FOUR_BYTES: 2,
  VARIABLE: 3,
  TEXT: 4,
  BINARY: 5,
  PAIR: 6,
} as const

export type PropertyType = (typeof PropertyType)[keyof typeof PropertyType]

export const Property = {
  PAYLOAD_FORMAT_INDICATOR: 0x01,
  MESSAGE_EXPIRY_INTERVAL: 0x02,
  CONTENT_TYPE: 0x03,
  RESPONSE_TOPIC: 0x08,
  CORRELATION_DATA: 0x09,
  SUBSCRIPTION_IDENTIFIER: 0x0b,
  SESSION_EXPIRY_INTERVAL: 0x11,
  ASSIGNED_CLIENT_IDENTIFIER: 0x12,
  SERVER_KEEP_ALIVE: 0x13,
  AUTHENTICATION_METHOD: 0x15,
  AUTHENTICATION_DATA: 0x16,
  REQUEST_PROBLEM_INFORMATION: 0x17,
  WILL_DELAY_INTERVAL: 0x18,
  REQUEST_RESPONSE_INFORMATION: 0x19,
  RESPONSE_INFORMATION: 0x1a,
  SERVER_REFERENCE: 0x1c,
  REASON_STRING: 0x1f,
  RECEIVE_MAXIMUM: 0x21,
  TOPIC_ALIAS_MAXIMUM: 0x22,
  TOPIC_ALIAS: 0x23,
  MAXIMUM_QOS: 0x24,
  RETAIN_AVAILABLE: 0x25,
  USER_PROPERTY: 0x26,
  MAXIMUM_PACKET_SIZE: 0x27,
  WILDCARD_SUBSCRIPTION_AVAILABLE: 0x28,
  SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0x29,
  SHARED_SUBSCRIPTION_AVAILABLE: 0x2a,
} as const

export type Property = (typeof Property)[keyof typeof Property]

const C = PropertyCarrier
const T = PropertyType
const P = Property
const MESSAGES = C.PUBLISH | C.WILL
const ANSWERS = C.PUBACK | C.PUBREC | C.PUBREL | C.PUBCOMP
const ALL = Object.values(C).reduce((carriers, carrier) => carriers | carrier, 0)
/** Only a server sends it. */
const NONE = 0

/** [MQTT 5, table 2-4], as far as clients send them: how each is written, and in which packets a client may have it. */
const PROPERTIES: readonly (readonly [Property, PropertyType, carriers: number])[] = [
  [P.PAYLOAD_FORMAT_INDICATOR, T.BYTE, MESSAGES],
  [P.MESSAGE_EXPIRY_INTERVAL, T.FOUR_BYTES, MESSAGES],
  [P.CONTENT_TYPE, T.TEXT, MESSAGES],
  [P.RESPONSE_TOPIC, T.TEXT, MESSAGES],
  [P.CORRELATION_DATA, T.BINARY, MESSAGES],
  // [MQTT-3.3.4-6]: a PUBLISH of a client has none.
  [P.SUBSCRIPTION_IDENTIFIER, T.VARIABLE, C.SUBSCRIBE],
  [P.SESSION_EXPIRY_INTERVAL, T.FOUR_BYTES, C.CONNECT | C.DISCONNECT],
  [P.ASSIGNED_CLIENT_IDENTIFIER, T.TEXT, NONE],
  [P.SERVER_KEEP_ALIVE, T.TWO_BYTES, NONE],
  [P.AUTHENTICATION_METHOD, T.TEXT, C.CONNECT | C.AUTH],
  [P.AUTHENTICATION_DATA, T.BINARY, C.CONNECT | C.AUTH],
  [P.REQUEST_PROBLEM_INFORMATION, T.BYTE, C.CONNECT],
  [P.WILL_DELAY_INTERVAL, T.FOUR_BYTES, C.WILL],
  [P.REQUEST_RESPONSE_INFORMATION, T.BYTE, C.CONNECT],
  [P.RESPONSE_INFORMATION, T.TEXT, NONE],
  [P.SERVER_REFERENCE, T.TEXT, NONE],
  [P.REASON_STRING, T.TEXT, ANSWERS | C.DISCONNECT | C.AUTH],
  [P.RECEIVE_MAXIMUM, T.TWO_BYTES, C.CONNECT],
  [P.TOPIC_ALIAS_MAXIMUM, T.TWO_BYTES, C.CONNECT],
  [P.TOPIC_ALIAS, T.TWO_BYTES, C.PUBLISH],
  [P.MAXIMUM_QOS, T.BYTE, NONE],
  [P.RETAIN_AVAILABLE, T.BYTE, NONE],
  [P.USER_PROPERTY, T.PAIR, ALL],
  [P.MAXIMUM_PACKET_SIZE, T.FOUR_BYTES, C.CONNECT],
  [P.WILDCARD_SUBSCRIPTION_AVAILABLE, T.BYTE, NONE],
  [P.SUBSCRIPTION_IDENTIFIER_AVAILABLE, T.BYTE, NONE],
  [P.SHARED_SUBSCRIPTION_AVAILABLE, T.BYTE, NONE],
]

const IDENTIFIERS = 256
const byIdentifier = new Map(
  PROPERTIES.map(([identifier, type, carriers]) => [identifier as number, { type, carriers }]),
)

/** By identifier; undefined: there is no such property. */
export const propertyTypes: readonly (PropertyType | undefined)[] = Array.from(
  { length: IDENTIFIERS },
  (_, identifier) => byIdentifier.get(identifier)?.type,
)

/** By identifier: the packets of a client that may have it, as bits. */
export const propertyCarriers: readonly number[] = Array.from(
  { length: IDENTIFIERS },
  (_, identifier) => byIdentifier.get(identifier)?.carriers ?? NONE,
)
