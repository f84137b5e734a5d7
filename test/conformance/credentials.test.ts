import { expect, it } from 'vitest'
import { encodeConnect, encodePublish, type ConnectFields } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, unique } from './suite.ts'

const ALICE = { username: 'alice', password: 'wonderland' }
const USERS = { alice: 'wonderland', 'zoë 🦀': 'pässword' }

conformance('Credentials', { users: USERS, limits: { connectBytesMax: 131_072 } }, (broker) => {
  it('[MQTT-3.1.4-4] the right user name and password are accepted', async () => {
    await using client = await broker.connect(ALICE)
    await client.expectSilence()
  })

  it('[MQTT-3.1.3-11] a user name and password beyond ASCII are compared as UTF-8', async () => {
    await using client = await broker.connect({ username: 'zoë 🦀', password: 'pässword' })
    await client.expectSilence()
  })

  it('[MQTT-3.1.3-1] a CONNECT with every field is read in the order of the standard', async () => {
    const topic = unique('t')
    await using watcher = await broker.connect(ALICE)
    await watcher.subscribe([topic, 1])
    // Were the fields read in another order, the will would be another one.
    const will = { topic, payload: 'wonderland', qos: 1 }
    await using client = await broker.connect({ ...ALICE, clientId: unique('alice'), will })
    await client.drop()
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('wonderland') }])
  })

  const refusals: readonly (readonly [string, ConnectFields])[] = [
    ['a wrong password', { username: 'alice', password: 'Wonderland' }],
    ['an empty password', { username: 'alice', password: '' }],
    ['a longer password', { username: 'alice', password: 'wonderland ' }],
    ['a password of 65,535 bytes', { username: 'alice', password: Buffer.alloc(65_535, 0xff) }],
    ['a user name of 257 bytes', { username: 'a'.repeat(257), password: 'wonderland' }],
    ['an unknown user', { username: 'mallory', password: 'wonderland' }],
    ['the user __proto__', { username: '__proto__', password: 'x' }],
    ['the user constructor', { username: 'constructor', password: 'x' }],
    ['an empty user name', { username: '', password: 'wonderland' }],
    ['a user name without a password', { username: 'alice' }],
  ]

  it.each(refusals)(
    '[MQTT-3.2.2-4] [MQTT-3.2.2-5] %s is refused with 0x04 or 0x05 and closed',
    async (_what, fields) => {
      await using client = await broker.open()
      const connack = await client.connect({ clientId: unique('c'), ...fields })
      expect(connack.sessionPresent).toBe(false)
      expect([4, 5]).toContain(connack.returnCode)
      await client.expectClosed()
    },
  )

  it('[Breakwater] [MQTT-3.2.2-5] bad credentials get return code 0x04', async () => {
    await using client = await broker.open()
    const connack = await client.connect({
      clientId: unique('c'),
      username: 'alice',
      password: 'no',
    })
    expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 4 })
    await client.expectClosed()
  })

  it('[Breakwater] [MQTT-3.2.2-5] a client without credentials gets return code 0x05 when anonymous clients are not allowed', async () => {
    await using client = await broker.open()
    const connack = await client.connect({ clientId: unique('c') })
    expect(connack).toEqual({ type: 'connack', sessionPresent: false, returnCode: 5 })
    await client.expectClosed()
  })

  it('[MQTT-3.1.4-5] nothing that follows refused credentials is processed', async () => {
    await using watcher = await broker.connect(ALICE)
    await using publisher = await broker.connect(ALICE)
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    await using refused = await broker.open()
    refused.send(
      encodeConnect({ clientId: unique('c'), username: 'alice', password: 'wrong' }),
      encodePublish({ topic, payload: 'never', qos: 1 }),
    )
    expect((await refused.expect('connack')).returnCode).not.toBe(0)
    await refused.expectClosed()
    await expectNothingDelivered(watcher, publisher)
  })

  it('[MQTT-3.2.2-4] a stored session is neither shown to nor touched by a refused CONNECT', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using owner = await broker.resume(clientId, ALICE)
    await owner.subscribe([topic, 1])
    for (const clean of [false, true]) {
      await using thief = await broker.open()
      const connack = await thief.connect({ clientId, clean, username: 'alice', password: 'x' })
      expect(connack.sessionPresent).toBe(false)
      expect([4, 5]).toContain(connack.returnCode)
      await thief.expectClosed()
    }
    // Neither taken over nor wiped.
    await owner.publish({ topic, payload: 'still mine', qos: 1 })
    const [message] = await owner.receive(1)
    expect(message).toMatchObject({ payload: Buffer.from('still mine') })
  })

  it('[MQTT-3.1.2-8] the will of a refused client is never published', async () => {
    await using watcher = await broker.connect(ALICE)
    await using publisher = await broker.connect(ALICE)
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    await using refused = await broker.open()
    const will = { topic, payload: 'never', qos: 1 }
    await refused.connect({ clientId: unique('c'), username: 'alice', password: 'x', will })
    await refused.expectClosed()
    await expectNothingDelivered(watcher, publisher)
  })
})
