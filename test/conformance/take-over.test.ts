import { expect, it } from 'vitest'
import { encodeConnect } from '../kit/wire-encoder.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

conformance('Take-over', { stores: STORES }, (broker) => {
  it.each([
    [true, true],
    [false, false],
    [true, false],
    [false, true],
  ])(
    '[MQTT-3.1.4-2] a second connection with the same client id closes the first (clean %s, then %s)',
    async (firstClean, secondClean) => {
      const clientId = unique('c')
      await using first = await broker.connect({ clientId, clean: firstClean })
      await using second = await broker.open()
      const connack = await second.connect({ clientId, clean: secondClean })
      expect(connack).toMatchObject({
        returnCode: 0,
        sessionPresent: !firstClean && !secondClean,
      })
      await first.expectClosed()
      await second.expectSilence()
      // What has been taken over works: subscribe, publish, receive.
      const topic = unique('t')
      expect(await second.subscribe([topic, 1])).toEqual([1])
      await second.publish({ topic, payload: 'mine', qos: 1 })
      expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('mine') }])
    },
  )

  it('[MQTT-3.1.4-2] [MQTT-3.1.2-4] after a take-over the new connection has the session: subscriptions and messages in flight', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    await publisher.publish({ topic, payload: 'in flight', qos: 1 })
    const original = await first.expect('publish')
    await using second = await broker.resume(clientId)
    await first.expectClosed()
    const [again] = await second.receive(1)
    expect(again).toEqual({ ...original, dup: true })
    await publisher.publish({ topic, payload: 'live', qos: 1 })
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('live'), dup: false }])
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.2-6] a take-over with clean session 1 starts without subscriptions and messages', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([topic, 1])
    await publisher.publish({ topic, payload: 'in flight', qos: 1 })
    await first.expect('publish')
    await using second = await broker.connect({ clientId, clean: true })
    await first.expectClosed()
    await publisher.publish({ topic, payload: 'unsubscribed', qos: 1 })
    await expectNothingDelivered(second, publisher)
  })

  it('[MQTT-3.1.4-2] the end of a clean connection that was taken over leaves the subscriptions of the new connection alone', async () => {
    await using publisher = await broker.connect()
    for (let round = 0; round < 10; round++) {
      const clientId = unique('c')
      const topic = unique('t')
      await using first = await broker.connect({ clientId })
      await first.subscribe([topic, 1])
      await using second = await broker.connect({ clientId })
      await second.subscribe([topic, 1])
      await first.expectClosed()
      await publisher.publish({ topic, payload: 'yours', qos: 1 })
      expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('yours') }])
    }
  })

  it('[MQTT-3.1.4-2] a message that the old connection sent before the take-over is processed', async () => {
    await using watcher = await broker.connect()
    const clientId = unique('c')
    const topic = unique('t')
    await watcher.subscribe([topic, 1])
    await using first = await broker.connect({ clientId })
    await first.publish({ topic, payload: 'acknowledged', qos: 1 })
    await using second = await broker.connect({ clientId })
    await first.expectClosed()
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('acknowledged') }])
    await second.expectSilence()
  })

  it('[MQTT-3.1.4-2] of 20 consecutive connections with one client id only the last stays', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using stack = new AsyncDisposableStack()
    const clients: WireClient[] = []
    for (let count = 0; count < 20; count++) {
      clients.push(stack.use(await broker.resume(clientId)))
    }
    const last = clients.pop()
    for (const client of clients) await client.expectClosed()
    await last?.subscribe([topic, 1])
    await last?.publish({ topic, payload: 'one', qos: 1 })
    expect(await last?.receive(1)).toHaveLength(1)
    await last?.expectSilence()
  })

  it('[MQTT-3.1.4-2] of 10 connections at once with one client id exactly one stays', async () => {
    const clientId = unique('c')
    await using stack = new AsyncDisposableStack()
    const clients: WireClient[] = []
    for (let count = 0; count < 10; count++) clients.push(stack.use(await broker.open()))
    for (const client of clients) client.send(encodeConnect({ clientId, clean: false }))
    const survivor = await Promise.any(
      clients.map(async (candidate) => {
        const others = clients.filter((client) => client !== candidate)
        await Promise.all(others.map((client) => client.untilClosed()))
        return candidate
      }),
    )
    expect(await survivor.take('connack')).toMatchObject({ returnCode: 0 })
    await survivor.expectSilence()
    await using publisher = await broker.connect()
    await using successor = await broker.resume(clientId)
    await expectNothingDelivered(successor, publisher)
  })

  it('[MQTT-3.1.4-2] a take-over leaves clients with other client ids alone, also similar ones', async () => {
    const clientId = unique('c')
    await using longer = await broker.connect({ clientId: `${clientId}x` })
    await using spaced = await broker.connect({ clientId: `${clientId} ` })
    await using first = await broker.connect({ clientId })
    await using second = await broker.connect({ clientId })
    await first.expectClosed()
    for (const client of [longer, spaced, second]) await client.expectSilence()
  })
})
