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

/** By identifier; undefined: there is no such property. */
export const propertyTypes: readonly (PropertyType | undefined)[] = byIdentifier([
  [Property.PAYLOAD_FORMAT_INDICATOR, PropertyType.BYTE],
  [Property.MESSAGE_EXPIRY_INTERVAL, PropertyType.FOUR_BYTES],
  [Property.CONTENT_TYPE, PropertyType.TEXT],
  [Property.RESPONSE_TOPIC, PropertyType.TEXT],
  [Property.CORRELATION_DATA, PropertyType.BINARY],
  [Property.SUBSCRIPTION_IDENTIFIER, PropertyType.VARIABLE],
  [Property.SESSION_EXPIRY_INTERVAL, PropertyType.FOUR_BYTES],
  [Property.ASSIGNED_CLIENT_IDENTIFIER, PropertyType.TEXT],
  [Property.SERVER_KEEP_ALIVE, PropertyType.TWO_BYTES],
  [Property.AUTHENTICATION_METHOD, PropertyType.TEXT],
  [Property.AUTHENTICATION_DATA, PropertyType.BINARY],
  [Property.REQUEST_PROBLEM_INFORMATION, PropertyType.BYTE],
  [Property.WILL_DELAY_INTERVAL, PropertyType.FOUR_BYTES],
  [Property.REQUEST_RESPONSE_INFORMATION, PropertyType.BYTE],
  [Property.RESPONSE_INFORMATION, PropertyType.TEXT],
  [Property.SERVER_REFERENCE, PropertyType.TEXT],
  [Property.REASON_STRING, PropertyType.TEXT],
  [Property.RECEIVE_MAXIMUM, PropertyType.TWO_BYTES],
  [Property.TOPIC_ALIAS_MAXIMUM, PropertyType.TWO_BYTES],
  [Property.TOPIC_ALIAS, PropertyType.TWO_BYTES],
  [Property.MAXIMUM_QOS, PropertyType.BYTE],
  [Property.RETAIN_AVAILABLE, PropertyType.BYTE],
  [Property.USER_PROPERTY, PropertyType.PAIR],
  [Property.MAXIMUM_PACKET_SIZE, PropertyType.FOUR_BYTES],
  [Property.WILDCARD_SUBSCRIPTION_AVAILABLE, PropertyType.BYTE],
  [Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, PropertyType.BYTE],
  [Property.SHARED_SUBSCRIPTION_AVAILABLE, PropertyType.BYTE],
])

const C = PropertyCarrier
const ANSWERS = C.PUBACK | C.PUBREC | C.PUBREL | C.PUBCOMP

/** By identifier: the packets of a client that may have it, as bits. What only a server sends has none. */
export const propertyCarriers: readonly number[] = byIdentifier([
  [Property.PAYLOAD_FORMAT_INDICATOR, C.PUBLISH | C.WILL],
  [Property.MESSAGE_EXPIRY_INTERVAL, C.PUBLISH | C.WILL],
  [Property.CONTENT_TYPE, C.PUBLISH | C.WILL],
  [Property.RESPONSE_TOPIC, C.PUBLISH | C.WILL],
  [Property.CORRELATION_DATA, C.PUBLISH | C.WILL],
  // [MQTT-3.3.4-6]: a PUBLISH of a client has none.
  [Property.SUBSCRIPTION_IDENTIFIER, C.SUBSCRIBE],
  [Property.SESSION_EXPIRY_INTERVAL, C.CONNECT | C.DISCONNECT],
  [Property.AUTHENTICATION_METHOD, C.CONNECT | C.AUTH],
  [Property.AUTHENTICATION_DATA, C.CONNECT | C.AUTH],
  [Property.REQUEST_PROBLEM_INFORMATION, C.CONNECT],
  [Property.WILL_DELAY_INTERVAL, C.WILL],
  [Property.REQUEST_RESPONSE_INFORMATION, C.CONNECT],
  [Property.REASON_STRING, ANSWERS | C.DISCONNECT | C.AUTH],
  [Property.RECEIVE_MAXIMUM, C.CONNECT],
  [Property.TOPIC_ALIAS_MAXIMUM, C.CONNECT],
  [Property.TOPIC_ALIAS, C.PUBLISH],
  [
    Property.USER_PROPERTY,
    C.CONNECT | C.WILL | C.PUBLISH | ANSWERS | C.SUBSCRIBE | C.UNSUBSCRIBE | C.DISCONNECT | C.AUTH,
  ],
  [Property.MAXIMUM_PACKET_SIZE, C.CONNECT],
]).map((carriers) => carriers ?? 0)

function byIdentifier<Value>(
  entries: readonly (readonly [Property, Value])[],
): (Value | undefined)[] {
  const table: (Value | undefined)[] = Array.from({ length: 128 })
  for (const [identifier, value] of entries) table[identifier] = value
  return table
}
