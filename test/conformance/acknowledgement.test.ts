import { expect, it } from 'vitest'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePubcomp, encodePubrec } from '../kit/wire-encoder.ts'
import { conformance, STORES, unique, type Broker } from './suite.ts'

const ENCODERS = { PUBACK: encodePuback, PUBREC: encodePubrec, PUBCOMP: encodePubcomp } as const
type Acknowledgement = keyof typeof ENCODERS

const WRONG: readonly (readonly [qos: 1 | 2, Acknowledgement])[] = [
  [1, 'PUBREC'],
  [1, 'PUBCOMP'],
  [2, 'PUBACK'],
  [2, 'PUBCOMP'],
]
const SESSIONS = ['clean', 'persistent', 'shared clean', 'shared persistent'] as const

/** A client with a message of this QoS that it has not answered; its packet id. */
async function holding(
  broker: Broker,
  session: (typeof SESSIONS)[number],
  qos: 1 | 2,
): Promise<{ client: WireClient; clientId: string; topic: string; packetId: number }> {
  const [clientId, topic] = [unique('c'), unique('t')]
  const client = await broker.connect({ clientId, clean: session.endsWith('clean') })
  const filter = session.startsWith('shared') ? `$share/g/${topic}` : topic
  expect(await client.subscribe([filter, 2])).toEqual([2])
  await using publisher = await broker.connect()
  await publisher.publish({ topic, payload: 'held', qos })
  const { packetId } = await client.expect('publish')
  return { client, clientId, topic, packetId }
}

/** This packet ends the connection. */
async function expectViolation(broker: Broker, client: WireClient, packet: Buffer): Promise<void> {
  const { closeReasons } = broker.target
  const before = closeReasons?.().length ?? 0
  client.send(packet)
  await client.expectClosed()
  if (closeReasons !== undefined)
    await expect.poll(() => closeReasons().slice(before)).toContain('protocol-violation')
}

conformance('Acknowledgements of messages that the server sent', { stores: STORES }, (broker) => {
  for (const session of SESSIONS) {
    it.each(WRONG)(
      `[Breakwater] [MQTT-4.3.2-2] [MQTT-4.8.0-1] answering a QoS %i message with %s ends the connection (${session} session)`,
      async (qos, wrong) => {
        const { client, packetId } = await holding(broker, session, qos)
        await using _client = client
        await expectViolation(broker, client, ENCODERS[wrong](packetId))
      },
    )

    it(`[Breakwater] [MQTT-4.8.0-1] a PUBACK after the PUBREC of a message ends the connection (${session} session)`, async () => {
      const { client, packetId } = await holding(broker, session, 2)
      await using _client = client
      client.send(encodePubrec(packetId))
      await client.expect('pubrel')
      await expectViolation(broker, client, encodePuback(packetId))
    })

    it(`[MQTT-4.3.2-1] [MQTT-4.3.3-1] a repeated or very late acknowledgement is harmless (${session} session)`, async () => {
      for (const qos of [1, 2] as const) {
        const { client, topic, packetId } = await holding(broker, session, qos)
        await using _client = client
        await using publisher = await broker.connect()
        if (qos === 1) client.send(encodePuback(packetId), encodePuback(packetId))
        else {
          client.send(encodePubrec(packetId), encodePubrec(packetId))
          for (let count = 0; count < 2; count += 1)
            expect(await client.expect('pubrel')).toMatchObject({ packetId })
          client.send(encodePubcomp(packetId), encodePubcomp(packetId))
        }
        await publisher.publish({ topic, payload: 'next', qos })
        expect(await client.receive(1)).toMatchObject([{ payload: Buffer.from('next') }])
        client.send(qos === 1 ? encodePuback(packetId) : encodePubcomp(packetId))
        await client.expectSilence()
      }
    })
  }

  it('[MQTT-4.4.0-1] a message with a wrong acknowledgement is sent again when its session resumes', async () => {
    const { client, clientId, packetId } = await holding(broker, 'persistent', 1)
    await using _client = client
    client.send(encodePubrec(packetId))
    await client.expectClosed()
    await using again = await broker.resume(clientId)
    expect(await again.receive(1)).toMatchObject([{ packetId, dup: true }])
    await again.expectSilence()
  })

  it('[MQTT-4.3.3-1] PUBREC and PUBCOMP that a client sends again after it has resumed are harmless', async () => {
    const { client, clientId, topic, packetId } = await holding(broker, 'persistent', 2)
    client.send(encodePubrec(packetId))
    await client.expect('pubrel')
    await client.drop()
    await using again = await broker.resume(clientId)
    expect(await again.expect('pubrel')).toMatchObject({ packetId })
    again.send(encodePubrec(packetId))
    expect(await again.expect('pubrel')).toMatchObject({ packetId })
    again.send(encodePubcomp(packetId), encodePubcomp(packetId))
    await using publisher = await broker.connect()
    await publisher.publish({ topic, payload: 'next', qos: 2 })
    expect(await again.receive(1)).toMatchObject([{ payload: Buffer.from('next') }])
    await again.expectSilence()
  })

  it('[MQTT-4.3.3-1] a PUBREC of an earlier connection is answered, and its PUBCOMP affects no later message with that packet id', async () => {
    const [clientId, topic] = [unique('c'), unique('t')]
    await using client = await broker.resume(clientId)
    await client.subscribe([topic, 2])
    // The next message has packet id 1.
    client.send(encodePubrec(1))
    expect(await client.expect('pubrel')).toMatchObject({ packetId: 1 })
    await using publisher = await broker.connect()
    await publisher.publish({ topic, payload: 'first', qos: 2 })
    expect(await client.expect('publish')).toMatchObject({ packetId: 1 })
    client.send(encodePubcomp(1))
    await client.expectSilence()
    client.send(encodePubrec(1))
    expect(await client.expect('pubrel')).toMatchObject({ packetId: 1 })
    client.send(encodePubcomp(1))
    await client.expectSilence()
  })
})
