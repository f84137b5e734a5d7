import { expect, it } from 'vitest'
import { MQTT_31 } from '../kit/wire-encoder.ts'
import { conformance, STORES, unique } from './suite.ts'

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Client ids that code might misinterpret; a unique suffix is added only where the id keeps its special form. */
const HOSTILE_IDS: readonly (readonly [string, string])[] = [
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['hasOwnProperty', 'hasOwnProperty'],
  ['an emoji', '🦀 crab 🌊'],
  ['a $SYS topic', '$SYS/broker/clients'],
  ['topic wildcards', 'a/+/b/#'],
  ['glob characters', 'dev[1]*?\\x'],
  ['key separators', 'a:b:{c}:d'],
  ['percent and quotes', `100%25"'`],
  ['a space', ' '],
  ['the word null', 'null'],
]

/** The longest that the standard knows; a node takes 256 bytes unless told otherwise. */
const LONGEST = { clientIdBytesMax: 65_535, connectBytesMax: 262_144 }

conformance('Client ids', { stores: STORES, limits: LONGEST }, (broker) => {
  it('[MQTT-3.1.3-6] a client with an empty client id and clean session 1 gets a unique client id', async () => {
    await using first = await broker.connect({ clientId: '' })
    await using second = await broker.connect({ clientId: '' })
    await first.expectSilence()
    await second.expectSilence()
  })

  it('[MQTT-3.1.3-8] [MQTT-3.1.3-7] an empty client id with clean session 0 is refused with 0x02 and closed', async () => {
    await using client = await broker.open()
    const connack = await client.connect({ clientId: '', clean: false })
    expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 2 })
    await client.expectClosed()
  })

  it.each([true, false])(
    '[MQTT-3.1.3-9] a client of MQTT 3.1 with an empty client id (clean %s) is refused with 0x02',
    async (clean) => {
      await using client = await broker.open()
      const connack = await client.connect({ ...MQTT_31, clientId: '', clean })
      expect(connack).toMatchObject({ returnCode: 2 })
      await client.expectClosed()
    },
  )

  it('[Breakwater] [MQTT-3.1.3-5] a client of MQTT 3.1 may have a client id of more than 23 characters', async () => {
    for (const length of [23, 24, 36, 65_535]) {
      const clientId = unique('x').padEnd(length, 'y')
      await using client = await broker.connect({ ...MQTT_31, clientId })
      await client.expectSilence()
    }
  })

  it('[MQTT-3.1.3-5] client ids of 1 to 23 bytes of digits and letters are accepted', async () => {
    for (const clientId of ['Z', LETTERS.slice(0, 23), LETTERS.slice(23, 46), LETTERS.slice(-23)]) {
      await using client = await broker.connect({ clientId })
      await client.expectSilence()
    }
  })

  it('[MQTT-3.1.3-4] a client id of 65,535 bytes works like any other, with a stored session', async () => {
    const clientId = unique('long').padEnd(65_535, 'x')
    await expectSessionOf(clientId)
  })

  it('[MQTT-3.1.3-2] two client ids of 65,535 bytes that differ in the last byte are two clients', async () => {
    const start = unique('long').padEnd(65_534, 'x')
    await using one = await broker.connect({ clientId: `${start}1` })
    await using two = await broker.connect({ clientId: `${start}2` })
    await one.expectSilence()
    await two.expectSilence()
  })

  it.each(HOSTILE_IDS)('[MQTT-3.1.3-4] the client id %s keeps its session', async (_what, id) => {
    await expectSessionOf(id)
  })

  it('[MQTT-3.1.3-2] client ids that differ only in case or in Unicode normal form are different clients', async () => {
    const id = unique('id')
    await using lower = await broker.connect({ clientId: `${id}-café` })
    await using upper = await broker.connect({ clientId: `${id}-CAFÉ` })
    await using decomposed = await broker.connect({ clientId: `${id}-cafe\u0301` })
    for (const client of [lower, upper, decomposed]) await client.expectSilence()
  })

  /** A session of this id stores a subscription and a message, gives them back and can be ended. */
  async function expectSessionOf(clientId: string): Promise<void> {
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    expect(await first.subscribe([topic, 1])).toEqual([1])
    await first.disconnect()
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using second = await broker.open()
    const connack = await second.connect({ clientId, clean: false })
    expect(connack).toMatchObject({ returnCode: 0, sessionPresent: true })
    const [message] = await second.receive(1)
    expect(message).toMatchObject({ topic, payload: Buffer.from('missed') })
    await second.disconnect()
    await using third = await broker.connect({ clientId })
    await third.expectSilence()
    await third.disconnect()
    await using fourth = await broker.open()
    const last = await fourth.connect({ clientId, clean: false })
    expect(last).toMatchObject({ returnCode: 0, sessionPresent: false })
    await fourth.disconnect()
    await using _end = await broker.connect({ clientId })
  }
})

conformance('Client ids by default', {}, (broker) => {
  it.each([{}, MQTT_31])(
    '[Breakwater] [MQTT-3.1.3-9] a client id of 257 bytes is refused with 0x02, a client id of 256 bytes is accepted: %o',
    async (version) => {
      const clientId = unique('é').padEnd(255, 'x')
      expect(Buffer.byteLength(clientId)).toBe(256)
      await using accepted = await broker.connect({ ...version, clientId })
      await accepted.expectSilence()
      await using refused = await broker.open()
      const connack = await refused.connect({ ...version, clientId: `${clientId}x` })
      expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 2 })
      await refused.expectClosed()
    },
  )
})
