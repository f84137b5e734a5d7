import assert from 'node:assert/strict'
import {
  called,
  enqueue,
  queueOf,
  written,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

export function acknowledgementCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('acknowledgements in the store', () => {
    test('remove messages from the queue in any order, and ignore missing messages', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      for (let index = 1; index <= 6; index += 1) await enqueue(under.store, 'a', `${index}`)
      for (const position of [5, 1, 2, 5, 99]) under.store.settle('a', position)
      await written(under.store)
      assert.deepEqual(await queueOf(under.other, 'a'), ['3 3', '4 4', '6 6'])
      for (const position of [3, 6, 4]) under.store.settle('a', position)
      await written(under.store)
      assert.deepEqual(await queueOf(under.store, 'a'), [])
      assert.equal(await enqueue(under.store, 'a', 'next'), 7)
    })

    test('[MQTT-4.6.0-4] return released packet ids in the order of their release until their completion', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const ids = Array.from({ length: 600 }, (_, index) => index + 1)
      for (const _ of ids) await enqueue(under.store, 'a', 'm', 2)
      const order = [...ids.slice(300), ...ids.slice(0, 300).toReversed()]
      await Promise.all(
        order.map((packetId) =>
          called((done) => under.store.release('a', packetId, packetId, done)),
        ),
      )
      assert.deepEqual(await queueOf(under.store, 'a'), [])
      assert.deepEqual((await under.other.openSession('a', true)).released, order)
      for (const packetId of order.slice(1)) under.store.complete('a', packetId)
      under.store.complete('a', 65_535)
      await written(under.store)
      assert.deepEqual((await under.other.openSession('a', true)).released, [order[0]])
    })

    test('of a repeated release keep its position', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      for (const packetId of [1, 2, 1])
        await called((done) => under.store.release('a', packetId, packetId, done))
      assert.deepEqual((await under.store.openSession('a', true)).released, [1, 2])
    })

    test('of an ended session have no effect and are answered', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await enqueue(under.store, 'a', 'm', 2)
      await under.store.endSession('a')
      under.store.settle('a', 1)
      under.store.recordSent('a', 1)
      await called((done) => under.store.release('a', 1, 1, done))
      under.store.complete('a', 2)
      assert.equal(await enqueue(under.store, 'a', 'late'), 0)
      const { epoch: _, ...opened } = await under.store.openSession('a', true)
      assert.deepEqual(opened, {
        present: false,
        subscriptions: [],
        sentPosition: 0,
        released: [],
        received: [],
      })
      assert.deepEqual(await queueOf(under.store, 'a'), [])
    })
  })
}
