import { describe, expect, test } from 'vitest'
import { readConnect, SESSION_NEVER_EXPIRES, type ConnectFrame } from './connect-frame.ts'

const text = (value: string | readonly number[]): number[] => {
  const bytes = typeof value === 'string' ? [...Buffer.from(value)] : [...value]
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}

interface Parts {
  readonly name?: string
  readonly level?: number
  readonly flags?: number
  readonly keepAlive?: readonly [number, number]
  readonly fields?: readonly (readonly number[])[]
}

const bodyOf = ({
  name = 'MQTT',
  level = 4,
  flags = 0x02,
  keepAlive = [0, 60],
  fields = [text('id')],
}: Parts): number[] => [...text(name), level, flags, ...keepAlive, ...fields.flat()]

const LIMITS = {
  protocolLevelMax: 5,
  topicBytesMax: 32,
  topicLevelsMax: 4,
  clientIdBytesMax: 40,
  usernameBytesMax: 20,
} as const

const read = (parts: Parts) => {
  const body = Buffer.from(bodyOf(parts))
  return readConnect(body, 0, body.length, LIMITS)
}

describe('a CONNECT is read', () => {
  test('with nothing but a client id', () => {
    expect(read({})).toEqual({
      protocolLevel: 4,
      clean: true,
      sessionExpiryS: 0,
      keepAliveS: 60,
      clientId: 'id',
      username: undefined,
      password: undefined,
      will: undefined,
      properties: undefined,
    })
  })

  test('with every field, whatever bytes surround it', () => {
    const fields = [text('id'), text('w/t'), text([0, 255]), text('user'), text([1, 2])]
    const body = bodyOf({ flags: 0xee, keepAlive: [0xff, 0xff], fields })
    const buffer = Buffer.from([9, 9, ...body, 9, 9])
    expect(readConnect(buffer, 2, buffer.length - 2, LIMITS)).toEqual({
      protocolLevel: 4,
      clean: true,
      sessionExpiryS: 0,
      keepAliveS: 65_535,
      clientId: 'id',
      username: 'user',
      password: Buffer.from([1, 2]),
      will: {
        topic: 'w/t',
        payload: Buffer.from([0, 255]),
        qos: 1,
        retain: true,
        delayS: 0,
        expiryS: undefined,
        properties: undefined,
      },
      properties: undefined,
    })
  })

  test('of MQTT 3.1', () => {
    expect(read({ name: 'MQIsdp', level: 3, flags: 0 })).toMatchObject({
      protocolLevel: 3,
      clean: false,
      sessionExpiryS: undefined,
    })
  })

  test.each<[string, Parts, object]>([
    ['with the reserved flag, which MQTT 3.1 does not use', { flags: 0x03 }, { clean: true }],
    ['with will QoS 2, without a will', { flags: 0x12 }, { will: undefined }],
    ['with will QoS 3, without a will', { flags: 0x1a }, { will: undefined }],
    ['with will retain, without a will', { flags: 0x22 }, { will: undefined }],
    ['without the user name that the flag announces', { flags: 0x82 }, { username: undefined }],
    [
      'without the password that the flag announces',
      { flags: 0xc2, fields: [text('id'), text('user')] },
      { username: 'user', password: undefined },
    ],
    [
      'without the user name and the password that the flags announce',
      { flags: 0xc2 },
      { username: undefined, password: undefined },
    ],
    [
      'with a client id of 36 characters',
      { fields: [text('x'.repeat(36))] },
      { clientId: 'x'.repeat(36) },
    ],
  ])('of MQTT 3.1 %s', (_what, parts, fields) => {
    expect(read({ name: 'MQIsdp', level: 3, ...parts })).toMatchObject(fields)
  })

  test('with a client id and a user name of the maximum length in bytes', () => {
    const fields = [text('é'.repeat(20)), text('é'.repeat(10))]
    expect(read({ flags: 0x82, fields })).toMatchObject({ username: 'é'.repeat(10) })
  })
})

describe('a CONNECT ends the connection with:', () => {
  test.each<[string, Parts, string]>([
    ['another protocol name [MQTT-3.1.2-1]', { name: 'HTTP' }, 'protocol-error'],
    ['a protocol name of Object.prototype', { name: 'constructor' }, 'protocol-error'],
    ['level 6 [MQTT-3.1.2-2]', { level: 6 }, 'unsupported-version'],
    ['level 5 under the old name', { name: 'MQIsdp', level: 5 }, 'unsupported-version'],
    ['level 3 under the new name', { level: 3 }, 'unsupported-version'],
    ['the bridge bit in the level', { level: 0x84 }, 'unsupported-version'],
    ['the reserved flag [MQTT-3.1.2-3]', { flags: 0x03 }, 'malformed'],
    ['will QoS without a will [MQTT-3.1.2-13]', { flags: 0x0a }, 'malformed'],
    ['will retain without a will [MQTT-3.1.2-15]', { flags: 0x22 }, 'malformed'],
    [
      'will QoS 3 [MQTT-3.1.2-14]',
      { flags: 0x1e, fields: [text('id'), text('w'), text('')] },
      'malformed',
    ],
    [
      'a password without a user name [MQTT-3.1.2-22]',
      { flags: 0x42, fields: [text('id'), text('p')] },
      'malformed',
    ],
    [
      'a wildcard in the will topic [MQTT-3.3.2-2]',
      { flags: 0x06, fields: [text('id'), text('w/+'), text('')] },
      'malformed',
    ],
    [
      'an empty will topic [MQTT-4.7.3-1]',
      { flags: 0x06, fields: [text('id'), text(''), text('')] },
      'malformed',
    ],
    [
      'a will topic above topicBytesMax',
      { flags: 0x06, fields: [text('id'), text('x'.repeat(33)), text('')] },
      'topic-too-long',
    ],
    [
      'a will topic above topicLevelsMax',
      { flags: 0x06, fields: [text('id'), text('a/b/c/d/e'), text('')] },
      'topic-too-long',
    ],
    ['a missing will', { flags: 0x06 }, 'malformed'],
    ['a missing user name', { flags: 0x82 }, 'malformed'],
    ['bytes after its fields', { fields: [text('id'), [0]] }, 'malformed'],
    ['a client id that is not UTF-8', { fields: [text([0xff])] }, 'malformed'],
    ['NUL in the client id [MQTT-1.5.3-2]', { fields: [text([0])] }, 'malformed'],
    [
      'an empty client id that wants a session [MQTT-3.1.3-8]',
      { flags: 0, fields: [text('')] },
      'client-id-invalid',
    ],
    [
      'an empty client id of MQTT 3.1',
      { name: 'MQIsdp', level: 3, fields: [text('')] },
      'client-id-invalid',
    ],
    [
      'a client id above clientIdBytesMax',
      { fields: [text(`${'é'.repeat(20)}x`)] },
      'client-id-invalid',
    ],
    [
      'a client id of MQTT 3.1 above clientIdBytesMax',
      { name: 'MQIsdp', level: 3, fields: [text('x'.repeat(41))] },
      'client-id-invalid',
    ],
    [
      'a user name above usernameBytesMax',
      { flags: 0x82, fields: [text('id'), text(`${'é'.repeat(10)}x`)] },
      'username-too-long',
    ],
    [
      'will QoS 3 of MQTT 3.1',
      { name: 'MQIsdp', level: 3, flags: 0x1e, fields: [text('id'), text('w'), text('')] },
      'malformed',
    ],
    [
      'a password without a user name of MQTT 3.1',
      { name: 'MQIsdp', level: 3, flags: 0x42, fields: [text('id'), text('p')] },
      'malformed',
    ],
    [
      'half a user name of MQTT 3.1',
      { name: 'MQIsdp', level: 3, flags: 0x82, fields: [text('id'), [0]] },
      'malformed',
    ],
  ])('%s', (_why, parts, reason) => {
    expect(read(parts)).toBe(reason)
  })

  test('a cut at any byte, which is malformed whatever follows in the chunk', () => {
    const fields = [text('id'), text('w/t'), text('bye'), text('user'), text('pass')]
    const body = Buffer.from(bodyOf({ flags: 0xee, fields }))
    expect(readConnect(body, 0, body.length, LIMITS)).toMatchObject({ clientId: 'id' })
    for (let end = 0; end < body.length; end += 1)
      expect(readConnect(body, 0, end, LIMITS), `cut at ${end}`).toBe('malformed')
  })
})

const word = (value: number): number[] => [
  value >> 24,
  (value >> 16) & 255,
  (value >> 8) & 255,
  value & 255,
]
const block = (...properties: readonly (readonly number[])[]): number[] => [
  properties.flat().length,
  ...properties.flat(),
]
const user = (name: string, value: string): number[] => [0x26, ...text(name), ...text(value)]
const read5 = (parts: Parts) => read({ level: 5, ...parts })

describe('a CONNECT of MQTT 5 is read', () => {
  test('with only a client id: the other values are the defaults of the standard', () => {
    expect(read5({ flags: 0, fields: [block(), text('id')] })).toEqual({
      protocolLevel: 5,
      clean: false,
      sessionExpiryS: 0,
      keepAliveS: 60,
      clientId: 'id',
      username: undefined,
      password: undefined,
      will: undefined,
      properties: {
        receiveMaximum: 65_535,
        packetBytesMax: undefined,
        topicAliasMaximum: 0,
        problemInformation: true,
        responseInformation: false,
        authenticationMethod: undefined,
        authenticationData: undefined,
        userProperties: [],
      },
    })
  })

  test('with every property, and a will with every property', () => {
    const own = block(
      [0x11, ...word(SESSION_NEVER_EXPIRES)],
      [0x21, 0, 10],
      [0x27, ...word(1_000)],
      [0x22, 0, 5],
      [0x19, 1],
      [0x17, 0],
      user('a', '1'),
      user('a', '2'),
      [0x15, ...text('SCRAM-SHA-256')],
      [0x16, ...text([0, 255])],
    )
    const kept = [
      [0x01, 1],
      [0x03, ...text('type')],
      [0x08, ...text('r')],
      [0x09, ...text([0])],
    ]
    const ofWill = block([0x18, ...word(30)], ...kept, user('b', ''), [0x02, ...word(60)])
    const fields = [own, text('id'), ofWill, text('w/t'), text('bye'), text('user'), text('pass')]
    const frame = read5({ flags: 0xee, fields }) as ConnectFrame
    expect(frame).toMatchObject({
      clean: true,
      sessionExpiryS: SESSION_NEVER_EXPIRES,
      username: 'user',
      will: { topic: 'w/t', qos: 1, retain: true, delayS: 30, expiryS: 60 },
      properties: {
        receiveMaximum: 10,
        packetBytesMax: 1_000,
        topicAliasMaximum: 5,
        problemInformation: false,
        responseInformation: true,
        authenticationMethod: 'SCRAM-SHA-256',
        authenticationData: Buffer.from([0, 255]),
        userProperties: [
          ['a', '1'],
          ['a', '2'],
        ],
      },
    })
    expect(frame.will?.properties).toEqual(Buffer.from([...kept.flat(), ...user('b', '')]))
  })

  test.each<[string, Parts, object]>([
    [
      'a password without a user name',
      { flags: 0x42, fields: [block(), text('id'), text('p')] },
      { username: undefined, password: Buffer.from('p') },
    ],
    [
      'an empty client id and an earlier session',
      { flags: 0, fields: [block(), text('')] },
      { clientId: '', clean: false },
    ],
  ])('with %s', (_what, parts, fields) => {
    expect(read5(parts)).toMatchObject(fields)
  })
})

describe('a CONNECT of MQTT 5 ends the connection with:', () => {
  test.each<[string, Parts, string]>([
    ['missing properties', { fields: [] }, 'malformed'],
    ['properties that reach beyond the packet', { fields: [[40], text('id')] }, 'malformed'],
    ['the reserved flag [MQTT-3.1.2-3]', { flags: 3, fields: [block(), text('id')] }, 'malformed'],
    [
      'authentication data without a method',
      { fields: [block([0x16, 0, 0]), text('id')] },
      'protocol-error',
    ],
    ['a property of a PUBLISH', { fields: [block([0x23, 0, 1]), text('id')] }, 'protocol-error'],
    [
      'a will delay among the properties of CONNECT',
      { fields: [block([0x18, ...word(1)]), text('id')] },
      'protocol-error',
    ],
    [
      'a property of CONNECT in the will',
      { flags: 6, fields: [block(), text('id'), block([0x21, 0, 1]), text('w'), text('')] },
      'protocol-error',
    ],
    ['a will without properties', { flags: 6, fields: [block(), text('id')] }, 'malformed'],
    ['a missing user name', { flags: 0x82, fields: [block(), text('id')] }, 'malformed'],
    ['bytes after its fields', { fields: [block(), text('id'), [0]] }, 'malformed'],
    [
      'a client id above clientIdBytesMax',
      { fields: [block(), text('x'.repeat(41))] },
      'client-id-invalid',
    ],
  ])('%s', (_why, parts, reason) => {
    expect(read5(parts)).toBe(reason)
  })

  test('protocol level 5 on a node that does not support MQTT 5', () => {
    const body = Buffer.from(bodyOf({ level: 5, fields: [block(), text('id')] }))
    const limits = { ...LIMITS, protocolLevelMax: 4 } as const
    expect(readConnect(body, 0, body.length, limits)).toBe('unsupported-version')
  })

  test('a cut at any byte, which is malformed whatever follows in the chunk', () => {
    const fields = [
      block([0x21, 0, 9]),
      text('id'),
      block([0x01, 1]),
      text('w'),
      text('bye'),
      text('u'),
      text('p'),
    ]
    const body = Buffer.from(bodyOf({ level: 5, flags: 0xee, fields }))
    expect(readConnect(body, 0, body.length, LIMITS)).toMatchObject({ clientId: 'id' })
    for (let end = 0; end < body.length; end += 1)
      expect(readConnect(body, 0, end, LIMITS), `cut at ${end}`).toBe('malformed')
  })
})
