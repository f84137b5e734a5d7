/** Shared subscriptions on one node: what a client sees of them. MQTT 5 has the rules, section 4.8.2. */
import { expect, it } from 'vitest'
import { targetName } from '../kit/target.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePubcomp, encodePubrec } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

// Mosquitto serves them to MQTT 5 clients alone.
const itOfBreakwater = it.skipIf(targetName === 'mosquitto')

conformance('Shared subscriptions', { stores: STORES }, (broker) => {
  itOfBreakwater.each([0, 1, 2] as const)(
    'the members of a shared subscription take turns, QoS %i',
    async (qos) => {
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using first = await broker.connect()
      await using second = await broker.connect()
      for (const member of [first, second]) await member.subscribe([`$share/g/${topic}`, qos])
      for (const payload of ['1', '2', '3', '4']) await publisher.publish({ topic, payload, qos })
      const [one, two] = await Promise.all([first.receive(2), second.receive(2)])
      const payloads = [...one, ...two].map(({ payload }) => payload.toString())
      expect(payloads.sort()).toEqual(['1', '2', '3', '4'])
      expect(one).toMatchObject([{ topic, qos, retain: false, dup: false }, {}])
      for (const member of [first, second]) await expectNothingDelivered(member, publisher)
    },
  )

  itOfBreakwater('each of two shared subscriptions with one filter gets a copy', async () => {
    const topic = unique('t')
    await using publisher = await broker.connect()
    const members = await Promise.all([broker.connect(), broker.connect()])
    for (const [index, member] of members.entries())
      await member.subscribe([`$share/g${index}/${topic}/#`, 1])
    await publisher.publish({ topic: `${topic}/a`, payload: 'both', qos: 1 })
    for (const member of members) {
      expect(await member.receive(1)).toMatchObject([{ topic: `${topic}/a` }])
      await expectNothingDelivered(member, publisher)
      await member.disconnect()
    }
  })

  itOfBreakwater(
    'a client with an ordinary and a shared subscription to one filter gets both copies',
    async () => {
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using client = await broker.connect()
      await client.subscribe([topic, 1], [`$share/g/${topic}`, 1])
      await publisher.publish({ topic, payload: 'twice', qos: 1 })
      const messages = await client.receive(2)
      expect(messages).toMatchObject([{ topic }, { topic }])
      expect(new Set(messages.map(({ packetId }) => packetId)).size).toBe(2)
      await expectNothingDelivered(client, publisher)
    },
  )

  itOfBreakwater.each([
    [2, 0],
    [2, 1],
    [1, 2],
    [0, 2],
  ] as const)(
    'a shared subscription delivers a message published at QoS %i and granted QoS %i at the lower QoS',
    async (qos, granted) => {
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using client = await broker.connect()
      // The second SUBSCRIBE replaces the first.
      await client.subscribe([`$share/g/${topic}`, 2 - granted])
      expect(await client.subscribe([`$share/g/${topic}`, granted])).toEqual([granted])
      await publisher.publish({ topic, payload: 'm', qos })
      expect(await client.receive(1)).toMatchObject([{ topic, qos: Math.min(qos, granted) }])
      await expectNothingDelivered(client, publisher)
    },
  )

  itOfBreakwater('retained messages are not replayed to a shared subscription', async () => {
    const topic = unique('t')
    await using publisher = await broker.connect()
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await using client = await broker.connect()
    await client.subscribe([`$share/g/${topic}`, 1])
    await expectNothingDelivered(client, publisher)
  })

  itOfBreakwater(
    'UNSUBSCRIBE with the text of the shared filter ends the membership in the group',
    async () => {
      const topic = unique('t')
      await using publisher = await broker.connect()
      await using client = await broker.connect()
      await client.subscribe([`$share/g/${topic}`, 1])
      await client.unsubscribe(`$share/g/${topic}`)
      await publisher.publish({ topic, payload: 'nobody', qos: 1 })
      await expectNothingDelivered(client, publisher)
    },
  )

  itOfBreakwater(
    'a resumed session is a member of its groups again, and gets the missed messages',
    async () => {
      const topic = unique('t')
      const clientId = unique('c')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([`$share/g/${topic}`, 2])
      await first.disconnect()
      for (const qos of [1, 2] as const)
        await publisher.publish({ topic, payload: String(qos), qos })
      await using second = await broker.resume(clientId)
      const missed = await second.receive(2)
      expect(missed.map(({ payload }) => payload.toString()).sort()).toEqual(['1', '2'])
      await publisher.publish({ topic, payload: 'live', qos: 1 })
      expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('live') }])
      await expectNothingDelivered(second, publisher)
    },
  )

  itOfBreakwater('a session that has ended is not a member of its groups any more', async () => {
    const topic = unique('t')
    const clientId = unique('c')
    await using publisher = await broker.connect()
    await using first = await broker.resume(clientId)
    await first.subscribe([`$share/g/${topic}`, 1])
    await first.disconnect()
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using second = await broker.connect({ clientId, clean: true })
    await second.disconnect()
    await using third = await broker.resume(clientId)
    await third.subscribe([`$share/g/${topic}`, 1])
    await expectNothingDelivered(third, publisher)
  })

  itOfBreakwater(
    'a QoS 2 message of a shared subscription that is acknowledged and not released yet is released after a resume',
    async () => {
      const topic = unique('t')
      const clientId = unique('c')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([`$share/g/${topic}`, 2], [topic, 2])
      await publisher.publish({ topic, payload: 'm', qos: 2 })
      const packetIds = [await first.take('publish'), await first.take('publish')].map(
        ({ packetId }) => packetId,
      )
      first.send(...packetIds.map(encodePubrec))
      await pubrels(first, packetIds)
      await first.drop()
      await using second = await broker.resume(clientId)
      await pubrels(second, packetIds)
      second.send(...packetIds.map(encodePubcomp))
      await second.expectSilence()
      await second.disconnect()
      await using third = await broker.resume(clientId)
      await expectNothingDelivered(third, publisher)
    },
  )

  itOfBreakwater(
    'acknowledgements of shared messages never remove a message of the session queue',
    async () => {
      const topic = unique('t')
      const clientId = unique('c')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      await first.subscribe([`$share/g/${topic}/s`, 1], [`${topic}/q`, 1])
      for (const name of ['q', 's']) await publisher.publish({ topic: `${topic}/${name}`, qos: 1 })
      const messages = [await first.take('publish'), await first.take('publish')]
      const shared = messages.find((message) => message.topic === `${topic}/s`)
      first.send(encodePuback(shared?.packetId ?? 0))
      await first.expectSilence()
      await first.disconnect()
      await using second = await broker.resume(clientId)
      expect(await second.receive(1)).toMatchObject([{ topic: `${topic}/q`, dup: true }])
      await expectNothingDelivered(second, publisher)
    },
  )
})

async function pubrels(client: WireClient, packetIds: readonly number[]): Promise<void> {
  const released = new Set<number>()
  for (const _ of packetIds) released.add((await client.expect('pubrel')).packetId)
  expect(released).toEqual(new Set(packetIds))
}
