import { describe, expect, test } from 'vitest'
import { readConnect } from './connect-frame.ts'

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
  topicBytesMax: 32,
  topicLevelsMax: 4,
  clientIdBytesMax: 40,
  usernameBytesMax: 20,
}

const read = (parts: Parts) => {
  const body = Buffer.from(bodyOf(parts))
  return readConnect(body, 0, body.length, LIMITS)
}

describe('a CONNECT is read', () => {
  test('with nothing but a client id', () => {
    expect(read({})).toEqual({
      protocolLevel: 4,
      clean: true,
      keepAliveS: 60,
      clientId: 'id',
      username: undefined,
      password: undefined,
      will: undefined,
    })
  })

  test('with everything, whatever stands around it', () => {
    const fields = [text('id'), text('w/t'), text([0, 255]), text('user'), text([1, 2])]
    const body = bodyOf({ flags: 0xee, keepAlive: [0xff, 0xff], fields })
    const buffer = Buffer.from([9, 9, ...body, 9, 9])
    expect(readConnect(buffer, 2, buffer.length - 2, LIMITS)).toEqual({
      protocolLevel: 4,
      clean: true,
      keepAliveS: 65_535,
      clientId: 'id',
      username: 'user',
      password: Buffer.from([1, 2]),
      will: { topic: 'w/t', payload: Buffer.from([0, 255]), qos: 1, retain: true },
    })
  })

  test('of MQTT 3.1', () => {
    expect(read({ name: 'MQIsdp', level: 3, flags: 0 })).toMatchObject({
      protocolLevel: 3,
      clean: false,
    })
  })

  test.each<[string, Parts, object]>([
    ['with the reserved flag, which it does not use', { flags: 0x03 }, { clean: true }],
    ['with will QoS 2, without a will', { flags: 0x12 }, { will: undefined }],
    ['with will QoS 3, without a will', { flags: 0x1a }, { will: undefined }],
    ['with will retain, without a will', { flags: 0x22 }, { will: undefined }],
    ['without the user name that its flag names', { flags: 0x82 }, { username: undefined }],
    [
      'without the password that its flag names',
      { flags: 0xc2, fields: [text('id'), text('user')] },
      { username: 'user', password: undefined },
    ],
    [
      'without the user name and the password that its flags name',
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

  test('with a client id and a user name as long as they may be, in bytes', () => {
    const fields = [text('é'.repeat(20)), text('é'.repeat(10))]
    expect(read({ flags: 0x82, fields })).toMatchObject({ username: 'é'.repeat(10) })
  })
})

describe('a CONNECT ends the connection', () => {
  test.each<[string, Parts, string]>([
    ['another protocol [MQTT-3.1.2-1]', { name: 'HTTP' }, 'protocol-error'],
    ['a name of Object.prototype', { name: 'constructor' }, 'protocol-error'],
    ['level 5 [MQTT-3.1.2-2]', { level: 5 }, 'unsupported-version'],
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
    ['something behind its fields', { fields: [text('id'), [0]] }, 'malformed'],
    ['a client id that is no UTF-8', { fields: [text([0xff])] }, 'malformed'],
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

  test('cut at every byte it is malformed, whatever follows in the chunk', () => {
    const fields = [text('id'), text('w/t'), text('bye'), text('user'), text('pass')]
    const body = Buffer.from(bodyOf({ flags: 0xee, fields }))
    expect(readConnect(body, 0, body.length, LIMITS)).toMatchObject({ clientId: 'id' })
    for (let end = 0; end < body.length; end += 1)
      expect(readConnect(body, 0, end, LIMITS), `cut at ${end}`).toBe('malformed')
  })
})
