import { expect, it } from 'vitest'
import { targetName } from '../kit/target.ts'
import { conformance, expectNothingDelivered, STORES, unique } from './suite.ts'

/** One level more than a topic may have; its `#` would still match the topic of the 100 levels before it. */
function tooDeep(start: string): { readonly filter: string; readonly topic: string } {
  const topic = [start, ...Array.from({ length: 99 }, () => 'l')].join('/')
  return { filter: `${topic}/#`, topic }
}

// Mosquitto has other limits and serves shared subscriptions.
const itOfBreakwater = it.skipIf(targetName === 'mosquitto')

conformance('Refused filters', { stores: STORES }, (broker) => {
  itOfBreakwater('[MQTT-3.9.3-1] a filter with too many levels gets 0x80', async () => {
    await using client = await broker.connect()
    expect(await client.subscribe([tooDeep(unique('t')).filter, 1])).toEqual([0x80])
    await client.expectSilence()
  })

  itOfBreakwater.each(['$share', '$share/g', '$share/g/', '$share//t', '$share/+/t', '$share/#'])(
    '[Breakwater] [MQTT-3.9.3-1] the malformed shared subscription %s gets 0x80',
    async (filter) => {
      await using client = await broker.connect()
      expect(await client.subscribe([filter, 1])).toEqual([0x80])
      await client.expectSilence()
    },
  )

  itOfBreakwater(
    '[MQTT-3.9.3-1] each filter of a SUBSCRIBE with granted and refused ones gets its own return code',
    async () => {
      await using client = await broker.connect()
      const topic = unique('t')
      const granted = await client.subscribe(
        [`${topic}/a`, 2],
        [tooDeep(topic).filter, 1],
        [`${topic}/b`, 0],
        ['$share/g', 1],
      )
      expect(granted).toEqual([2, 0x80, 0, 0x80])
    },
  )

  itOfBreakwater.each([true, false])(
    '[MQTT-3.8.4-5] no message that matches only a refused filter is delivered live (clean session %s)',
    async (clean) => {
      await using publisher = await broker.connect()
      await using client = await broker.connect({ clean })
      const { filter, topic } = tooDeep(unique('t'))
      const granted = unique('t')
      expect(await client.subscribe([granted, 1], [filter, 1])).toEqual([1, 0x80])
      await publisher.publish({ topic, payload: 'refused', qos: 1 })
      await publisher.publish({ topic: granted, payload: 'granted', qos: 1 })
      expect(await client.receive(1)).toMatchObject([{ topic: granted }])
      await expectNothingDelivered(client, publisher)
    },
  )

  itOfBreakwater(
    '[MQTT-3.8.4-5] a refused filter in a SUBSCRIBE with granted ones is never stored: no message of it arrives after a resume',
    async () => {
      const clientId = unique('c')
      const { filter, topic } = tooDeep(unique('t'))
      const shared = unique('t')
      const granted = unique('t')
      await using publisher = await broker.connect()
      await using first = await broker.resume(clientId)
      expect(await first.subscribe([granted, 1], [filter, 1], [`$share//${shared}`, 1])).toEqual([
        1, 0x80, 0x80,
      ])
      await first.disconnect()
      for (const silent of [topic, shared]) {
        await publisher.publish({ topic: silent, payload: 'refused', qos: 1 })
      }
      await publisher.publish({ topic: granted, payload: 'granted', qos: 1 })
      await using second = await broker.resume(clientId)
      expect(await second.receive(1)).toMatchObject([{ topic: granted }])
      await publisher.publish({ topic, payload: 'refused', qos: 1 })
      await publisher.publish({ topic: shared, payload: 'refused', qos: 1 })
      await expectNothingDelivered(second, publisher)
    },
  )

  itOfBreakwater(
    '[MQTT-3.3.1-6] a refused filter gets no retained messages, and a granted filter beside it does',
    async () => {
      const { filter, topic } = tooDeep(unique('t'))
      const granted = unique('t')
      await using client = await broker.connect()
      await client.publish({ topic, payload: 'refused', qos: 1, retain: true })
      await client.publish({ topic: granted, payload: 'granted', qos: 1, retain: true })
      expect(await client.subscribe([filter, 0], [granted, 0])).toEqual([0x80, 0])
      expect(await client.expect('publish')).toMatchObject({ topic: granted, retain: true })
      await client.expectSilence()
      await client.publish({ topic, qos: 1, retain: true })
      await client.publish({ topic: granted, qos: 1, retain: true })
    },
  )
})

conformance(
  'Refused filters, limits of a node',
  { limits: { filtersPerClientMax: 5 } },
  (broker) => {
    it.skipIf(targetName !== 'breakwater')(
      '[Breakwater] [MQTT-3.9.3-1] filters beyond filtersPerClientMax get 0x80 until other filters are unsubscribed',
      async () => {
        await using client = await broker.connect()
        const topic = unique('t')
        const filters = Array.from({ length: 7 }, (_, index) => [`${topic}/${index}`, 1] as const)
        expect(await client.subscribe(...filters)).toEqual([1, 1, 1, 1, 1, 0x80, 0x80])
        // Replacing one that is there needs no new place.
        expect(await client.subscribe([`${topic}/0`, 0])).toEqual([0])
        await client.unsubscribe(`${topic}/1`)
        expect(await client.subscribe([`${topic}/6`, 1])).toEqual([1])
      },
    )
  },
)
