import { expect, it } from 'vitest'
import { encodePublish, type WireWill } from '../kit/wire-encoder.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('Wills', { stores: STORES }, (broker) => {
  /** Shows that no will came to `watcher`: one that is due, of another client, comes first. */
  async function expectNoWill(watcher: WireClient): Promise<void> {
    const topic = unique('due')
    await watcher.subscribe([topic, 0])
    await using other = await broker.connect({ will: { topic, payload: 'due' } })
    await other.drop()
    expect(await watcher.expect('publish')).toMatchObject({ topic })
  }

  it.each([0, 1, 2])(
    '[MQTT-3.1.2-8] [MQTT-3.1.2-9] a will of QoS %i is published when the connection is lost',
    async (qos) => {
      await using watcher = await broker.connect()
      const topic = unique('t')
      await watcher.subscribe([topic, 2])
      const payload = Buffer.from([0xff, 0, 0x80])
      await using client = await broker.connect({ will: { topic, payload, qos } })
      await client.drop()
      expect(await watcher.receive(1)).toMatchObject([{ topic, payload, qos, retain: false }])
      await expectNoWill(watcher)
    },
  )

  it('[MQTT-3.1.2-8] a will is published when the connection is reset', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect({ will: { topic, payload: 'reset' } })
    client.socket.resetAndDestroy()
    expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.from('reset') })
  })

  it('[MQTT-3.1.2-8] a will is published when the server closes the connection for a protocol error', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect({ will: { topic, payload: 'error' } })
    client.send(Buffer.from([0x00, 0x00]))
    await client.expectClosed()
    expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.from('error') })
  })

  it('[MQTT-3.1.2-8] a will is published when the keep-alive runs out', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect({
      will: { topic, payload: 'silence' },
      keepAliveSeconds: 1,
    })
    expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.from('silence') })
    await client.expectClosed()
  })

  it('[MQTT-3.1.2-10] [MQTT-3.14.4-3] a will is not published after DISCONNECT', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect({ will: { topic, payload: 'never' } })
    await client.disconnect()
    await expectNoWill(watcher)
  })

  it('[MQTT-3.1.2-12] a connection without a will publishes none, also after a connection with a will', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    const clientId = unique('c')
    await watcher.subscribe([topic, 0])
    await using first = await broker.connect({ clientId, will: { topic, payload: 'never' } })
    await first.disconnect()
    await using second = await broker.connect({ clientId })
    await second.drop()
    await expectNoWill(watcher)
  })

  it('[MQTT-3.1.2-10] a will is published once: the loss of the next connection publishes none', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    const clientId = unique('c')
    await watcher.subscribe([topic, 0])
    await using first = await broker.resume(clientId, { will: { topic, payload: 'once' } })
    await first.drop()
    await watcher.expect('publish')
    await using second = await broker.resume(clientId)
    await second.drop()
    await expectNoWill(watcher)
  })

  it('[MQTT-3.1.2-17] a will with RETAIN 1 is retained', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    const will: WireWill = { topic, payload: 'kept', qos: 1, retain: true }
    await using client = await broker.connect({ will })
    await client.drop()
    expect(await watcher.receive(1)).toMatchObject([{ retain: false, qos: 1 }])
    await using later = await broker.connect()
    await later.subscribe([topic, 1])
    expect(await later.receive(1)).toMatchObject([
      { payload: Buffer.from('kept'), retain: true, qos: 1 },
    ])
  })

  it('[MQTT-3.1.2-17] an empty will with RETAIN 1 removes the retained message', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await watcher.subscribe([topic, 0])
    await watcher.expect('publish')
    await using client = await broker.connect({ will: { topic, payload: '', retain: true } })
    await client.drop()
    expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.alloc(0) })
    await using later = await broker.connect()
    await later.subscribe([topic, 0])
    await later.expectSilence()
  })

  it('[MQTT-3.1.2-16] a will with RETAIN 0 is not retained', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 0])
    await using client = await broker.connect({ will: { topic, payload: 'passing' } })
    await client.drop()
    await watcher.expect('publish')
    await using later = await broker.connect()
    await later.subscribe([topic, 0])
    await later.expectSilence()
  })

  it('[MQTT-3.1.2-5] a QoS 1 will is queued for a session that is offline', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using watcher = await broker.connect()
    await watcher.subscribe([topic, 0])
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    await first.disconnect()
    await using client = await broker.connect({ will: { topic, payload: 'queued', qos: 1 } })
    await client.drop()
    await watcher.expect('publish')
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('queued'), qos: 1 }])
  })

  it('[MQTT-4.6.0-6] a will is delivered after the messages that its client published before', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    await using client = await broker.connect({ will: { topic, payload: 'will', qos: 1 } })
    const last = Array.from({ length: 20 }, (_, index) =>
      encodePublish({ topic, payload: `${index}`, qos: 1, packetId: index + 1 }),
    )
    client.send(...last)
    // `end` lets everything out before the connection is gone, without a DISCONNECT.
    client.socket.end()
    const messages = await watcher.receive(21)
    expect(messages.map(({ payload }) => payload.toString())).toEqual([
      ...Array.from({ length: 20 }, (_, index) => `${index}`),
      'will',
    ])
  })

  it('[MQTT-3.1.2-8] a take-over publishes the will of the old connection, and not the will of the new connection', async () => {
    await using watcher = await broker.connect()
    const topic = unique('t')
    const clientId = unique('c')
    await watcher.subscribe([topic, 0])
    await using first = await broker.connect({ clientId, will: { topic, payload: 'first' } })
    await using second = await broker.connect({ clientId, will: { topic, payload: 'second' } })
    await first.expectClosed()
    expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.from('first') })
    await expectNothingDelivered(watcher, second)
  })

  it.each([true, false])(
    '[MQTT-3.1.2-8] the new connection of a take-over keeps its own will (clean session %s)',
    async (clean) => {
      await using watcher = await broker.connect()
      const topic = unique('t')
      const clientId = unique('c')
      await watcher.subscribe([topic, 0])
      await using first = await broker.connect({ clientId, clean })
      await using second = await broker.connect({
        clientId,
        clean,
        will: { topic, payload: 'successor' },
      })
      await first.expectClosed()
      await second.drop()
      expect(await watcher.expect('publish')).toMatchObject({ payload: Buffer.from('successor') })
    },
  )

  it('[MQTT-3.1.2-8] a will is also delivered to the session of its own client', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using watcher = await broker.connect()
    await watcher.subscribe([topic, 0])
    const will: WireWill = { topic, payload: 'mine', qos: 1 }
    await using first = await broker.resume(clientId, { will })
    await first.subscribe([topic, 1])
    await first.drop()
    await watcher.expect('publish')
    await using second = await broker.resume(clientId)
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('mine') }])
  })
})
