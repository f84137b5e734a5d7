import { describe, expect, test } from 'vitest'
import { ABSENT, PropertyReader } from './property-reader.ts'
import { PropertyCarrier } from './property-table.ts'

const { CONNECT, WILL, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP } = PropertyCarrier
const { SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH } = PropertyCarrier
const ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP]

const text = (value: string): number[] => {
  const bytes = [...Buffer.from(value)]
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}
const user = (name: string, value: string): number[] => [0x26, ...text(name), ...text(value)]

/** Written out from table 2-4 of the standard: a valid example of each, and the packets of a client that have it. */
const TABLE: readonly (readonly [
  name: string,
  example: readonly number[],
  carriers: readonly number[],
])[] = [
  ['Payload Format Indicator', [0x01, 1], [PUBLISH, WILL]],
  ['Message Expiry Interval', [0x02, 0, 0, 0, 9], [PUBLISH, WILL]],
  ['Content Type', [0x03, ...text('t')], [PUBLISH, WILL]],
  ['Response Topic', [0x08, ...text('r')], [PUBLISH, WILL]],
  ['Correlation Data', [0x09, 0, 2, 0xff, 0], [PUBLISH, WILL]],
  ['Subscription Identifier', [0x0b, 0x80, 0x01], [SUBSCRIBE]],
  ['Session Expiry Interval', [0x11, 0, 0, 1, 0], [CONNECT, DISCONNECT]],
  ['Assigned Client Identifier', [0x12, ...text('c')], []],
  ['Server Keep Alive', [0x13, 0, 9], []],
  ['Authentication Method', [0x15, ...text('m')], [CONNECT, AUTH]],
  ['Authentication Data', [0x16, 0, 1, 0xff], [CONNECT, AUTH]],
  ['Request Problem Information', [0x17, 0], [CONNECT]],
  ['Will Delay Interval', [0x18, 0, 0, 0, 5], [WILL]],
  ['Request Response Information', [0x19, 1], [CONNECT]],
  ['Response Information', [0x1a, ...text('i')], []],
  ['Server Reference', [0x1c, ...text('s')], []],
  ['Reason String', [0x1f, ...text('why')], [...ACKS, DISCONNECT, AUTH]],
  ['Receive Maximum', [0x21, 0, 1], [CONNECT]],
  ['Topic Alias Maximum', [0x22, 0, 0], [CONNECT]],
  ['Topic Alias', [0x23, 0, 1], [PUBLISH]],
  ['Maximum QoS', [0x24, 1], []],
  ['Retain Available', [0x25, 1], []],
  ['User Property', user('n', 'v'), Object.values(PropertyCarrier)],
  ['Maximum Packet Size', [0x27, 0, 0, 0, 9], [CONNECT]],
  ['Wildcard Subscription Available', [0x28, 1], []],
  ['Subscription Identifier Available', [0x29, 1], []],
  ['Shared Subscription Available', [0x2a, 1], []],
]

function length(bytes: number): number[] {
  return bytes < 128 ? [bytes] : [(bytes & 127) | 128, ...length(bytes >> 7)]
}

/** Read in the middle of a buffer: what stands around must not matter. */
function read(carrier: PropertyCarrier, ...parts: readonly (readonly number[])[]) {
  const properties = parts.flat()
  const bytes = [...length(properties.length), ...properties]
  const reader = new PropertyReader()
  const buffer = Buffer.from([9, 9, 9, ...bytes, 1, 1, 1])
  const fault = reader.read(buffer, 3, 3 + bytes.length, carrier)
  if (fault === undefined) expect(reader.end).toBe(3 + bytes.length)
  return { fault, reader }
}

const faultOf = (carrier: PropertyCarrier, ...parts: readonly (readonly number[])[]) =>
  read(carrier, ...parts).fault

describe('each of the 256 property identifiers', () => {
  const known = new Map(TABLE.map(([, example, carriers]) => [example[0], { example, carriers }]))
  test.each(Object.entries(PropertyCarrier))(
    'in a %s of a client is accepted, a protocol error, or malformed [MQTT-2.2.2-2]',
    (_name, carrier) => {
      for (let identifier = 0; identifier < 256; identifier += 1) {
        const property = known.get(identifier)
        const fault = faultOf(carrier, property?.example ?? [identifier, 0, 0, 0, 0])
        const right = property?.carriers.includes(carrier) ? undefined : 'protocol-error'
        expect(fault, `0x${identifier.toString(16)}`).toBe(
          property === undefined ? 'malformed' : right,
        )
      }
    },
  )
})

test.each(TABLE.filter(([, , carriers]) => carriers.length > 0))(
  'the property %s cut short at any byte is malformed',
  (_name, example, [carrier]) => {
    for (let end = 1; end < example.length; end += 1)
      expect(faultOf(carrier as PropertyCarrier, example.slice(0, end)), `${end}`).toBe('malformed')
  },
)

test.each(TABLE.filter(([, , carriers]) => carriers.length > 0))(
  'a second property %s is a protocol error, unless it is a User Property',
  (name, example, [carrier]) => {
    const fault = faultOf(carrier as PropertyCarrier, example, example)
    expect(fault).toBe(name === 'User Property' ? undefined : 'protocol-error')
  },
)

describe('a property value that is not allowed', () => {
  test.each<[string, PropertyCarrier, number[], string]>([
    ['Payload Format Indicator 2', PUBLISH, [0x01, 2], 'protocol-error'],
    ['Request Problem Information 2', CONNECT, [0x17, 2], 'protocol-error'],
    ['Request Response Information 2', CONNECT, [0x19, 2], 'protocol-error'],
    ['Receive Maximum 0', CONNECT, [0x21, 0, 0], 'protocol-error'],
    ['Maximum Packet Size 0', CONNECT, [0x27, 0, 0, 0, 0], 'protocol-error'],
    ['Subscription Identifier 0', SUBSCRIBE, [0x0b, 0], 'protocol-error'],
    ['a Subscription Identifier with a byte too many', SUBSCRIBE, [0x0b, 0x81, 0], 'malformed'],
    [
      'a Subscription Identifier of five bytes',
      SUBSCRIBE,
      [0x0b, 255, 255, 255, 255, 1],
      'malformed',
    ],
    ['a Response Topic with + [MQTT-3.3.2-14]', PUBLISH, [0x08, ...text('a/+')], 'malformed'],
    ['a Response Topic with # [MQTT-3.3.2-14]', WILL, [0x08, ...text('#')], 'malformed'],
    ['an empty Response Topic [MQTT-4.7.3-1]', PUBLISH, [0x08, 0, 0], 'malformed'],
    ['a Content Type that is not UTF-8 [MQTT-1.5.4-1]', PUBLISH, [0x03, 0, 1, 0xff], 'malformed'],
    [
      'a Content Type with a surrogate [MQTT-1.5.4-1]',
      PUBLISH,
      [0x03, 0, 3, 0xed, 0xa0, 0x80],
      'malformed',
    ],
    ['a Reason String with U+0000 [MQTT-1.5.4-2]', PUBACK, [0x1f, 0, 1, 0], 'malformed'],
    ['a name of a User Property with U+0000 [MQTT-1.5.7-1]', AUTH, user('\0', ''), 'malformed'],
    [
      'a value of a User Property with U+0000 [MQTT-1.5.7-1]',
      UNSUBSCRIBE,
      user('', '\0'),
      'malformed',
    ],
  ])('%s', (_what, carrier, property, fault) => {
    expect(faultOf(carrier, property)).toBe(fault)
  })
})

describe('the length of MQTT 5 properties', () => {
  const lengthFault = (packet: readonly number[]) =>
    new PropertyReader().read(Buffer.from([...packet, 0, 0, 0, 0]), 0, packet.length, PUBLISH)

  test.each([
    ['is missing', []],
    ['is cut short', [0x80]],
    ['has a byte too many [MQTT-1.5.5-1]', [0x80, 0x00]],
    ['has five bytes', [0x80, 0x80, 0x80, 0x80, 0x01]],
    ['reaches beyond the packet', [3, 0x01, 1]],
  ])('that %s is malformed', (_what, packet) => {
    expect(lengthFault(packet)).toBe('malformed')
  })

  test('that is 0 means no properties [MQTT-2.2.2-1]', () => {
    expect(lengthFault([0])).toBeUndefined()
  })

  test('ends the properties, also within a value', () => {
    expect(lengthFault([4, 0x02, 0, 0, 0, 9])).toBe('malformed')
  })
})

test('numeric properties belong to their packet, and to no earlier one', () => {
  const reader = new PropertyReader()
  const connect = [
    0x11, 255, 255, 255, 255, 0x21, 1, 0, 0x27, 0, 1, 0, 0, 0x22, 0, 7, 0x17, 0, 0x19, 1,
  ]
  expect(
    reader.read(Buffer.from([connect.length, ...connect]), 0, 1 + connect.length, CONNECT),
  ).toBeUndefined()
  expect(reader).toMatchObject({
    sessionExpiryS: 0xffffffff,
    receiveMaximum: 256,
    packetBytesMax: 65_536,
    topicAliasMaximum: 7,
    requestProblemInformation: 0,
    requestResponseInformation: 1,
    messageExpiryS: ABSENT,
  })
  expect(reader.read(Buffer.from([0]), 0, 1, PUBLISH)).toBeUndefined()
  for (const value of Object.values(reader).filter((value) => value !== reader.end))
    expect(value).toBe(ABSENT)
})

test('authentication method and data are copied, with data of any bytes', () => {
  const { reader } = read(CONNECT, [0x15, ...text('SCRAM')], [0x16, 0, 3, 0, 255, 1])
  expect(reader.authenticationMethod).toBe('SCRAM')
  expect(reader.authenticationData).toEqual(Buffer.from([0, 255, 1]))
  expect(read(CONNECT).reader.authenticationMethod).toBeUndefined()
  expect(read(CONNECT).reader.authenticationData).toBeUndefined()
})

test('user properties are read in order, with equal names and empty texts', () => {
  const pairs = [
    ['b', '1'],
    ['a', ''],
    ['', 'x'],
    ['b', '1'],
    ['é', '😀'],
  ] as const
  const { reader } = read(
    CONNECT,
    [0x21, 0, 9],
    ...pairs.map(([name, value]) => user(name, value)),
    [0x22, 0, 1],
  )
  expect(reader.userProperties).toEqual(pairs)
})

/** Each choice of these in each order. */
function* arrangements<Item>(items: readonly Item[]): Generator<Item[]> {
  yield []
  for (const item of items)
    for (const rest of arrangements(items.filter((other) => other !== item))) yield [item, ...rest]
}

test('a message keeps its properties except alias and expiry, byte for byte, in every order', () => {
  const expiry = [0x02, 0, 0, 0, 9]
  const alias = [0x23, 0, 1]
  const kept = [[0x01, 1], [0x09, 0, 2, 0, 255], user('a', ''), user('a', '')]
  let count = 0
  for (const properties of arrangements([expiry, alias, ...kept])) {
    const { fault, reader } = read(PUBLISH, ...properties)
    expect(fault).toBeUndefined()
    const rest = properties.filter((property) => property !== expiry && property !== alias).flat()
    expect(reader.rest).toEqual(rest.length === 0 ? undefined : Buffer.from(rest))
    expect(reader.messageExpiryS).toBe(properties.includes(expiry) ? 9 : ABSENT)
    expect(reader.topicAlias).toBe(properties.includes(alias) ? 1 : ABSENT)
    count += 1
  }
  expect(count).toBe(1_957)
})

test('a will keeps its properties except delay and expiry', () => {
  const { reader } = read(WILL, [0x18, 0, 0, 1, 0], user('a', 'b'), [0x02, 0, 0, 0, 1], [0x01, 1])
  expect(reader.willDelayS).toBe(256)
  expect(reader.rest).toEqual(Buffer.from([...user('a', 'b'), 0x01, 1]))
})
