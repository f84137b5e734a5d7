import assert from 'node:assert/strict'
import type { Message } from '@breakwater/bus'
import { InboundFullError } from '../share-bounds.ts'
import { queuedBytes } from '../store.ts'
import { append, called, message, type OpenStore, type Suite } from './store-under-test.ts'

export function inboundCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('unreleased QoS 2 publishes', () => {
    test('are stored completely by packet id, for every node', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const payload = Buffer.from([0, 255, 254, 13, 10])
      const stored = message('tøpic', payload, { qos: 2, retain: true })
      await called((done) => under.store.storeInbound('a', 65_535, stored, done))
      await called((done) => under.store.storeInbound('a', 1, message('other'), done))
      const found = await under.other.readInbound('a', 65_535)
      assert.equal(found?.topic, 'tøpic')
      assert.deepEqual(Buffer.from(found.payload), payload)
      assert.equal(found.qos, 2)
      assert.equal(found.retain, true)
      assert.equal(await under.other.readInbound('a', 2), undefined)
      const { received } = await under.other.openSession('a', true)
      assert.deepEqual(
        received.toSorted((a, b) => a - b),
        [1, 65_535],
      )
    })

    test('are removed by deletion; deleting a missing one has no effect', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await called((done) => under.store.storeInbound('a', 7, message('t'), done))
      await called((done) => under.store.deleteInbound('a', 7, done))
      await called((done) => under.store.deleteInbound('a', 7, done))
      assert.equal(await under.store.readInbound('a', 7), undefined)
      assert.deepEqual((await under.store.openSession('a', true)).received, [])
    })

    test('are replaced when the packet id is used again', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      for (const topic of ['before', 'after'])
        await called((done) => under.store.storeInbound('a', 7, message(topic), done))
      assert.equal((await under.store.readInbound('a', 7))?.topic, 'after')
    })

    test('keep a payload whose buffer is reused', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const shared = Buffer.from('before')
      await called((done) => under.store.storeInbound('a', 7, message('t', shared), done))
      shared.fill('x')
      assert.equal((await under.store.readInbound('a', 7))?.payload.toString(), 'before')
    })

    test('are stored up to a bound of bytes, which is freed by deletion', async () => {
      // Each is an envelope of 9 bytes and its payload.
      await using under = await open({ shares: { inboundQos2BytesMax: 300 } })
      const { store } = under
      await store.openSession('a', true)
      const keep = (packetId: number, bytes: number): Promise<void> =>
        called((done) => store.storeInbound('a', packetId, message('t', 'x'.repeat(bytes)), done))
      await keep(1, 91)
      await keep(2, 91)
      await keep(3, 91)
      await assert.rejects(keep(4, 0), InboundFullError)
      await assert.rejects(keep(3, 92), InboundFullError)
      assert.equal(queuedBytes((await store.readInbound('a', 3)) as Message), 100)
      assert.equal(await store.readInbound('a', 4), undefined)
      await keep(3, 90)
      await called((done) => store.deleteInbound('a', 1, done))
      await keep(4, 91)
      const inbound = { clientId: 'a', packetId: 2 }
      await append(store, { message: message('t'), queues: [], inbound })
      await append(store, { message: message('t'), queues: [], inbound })
      await keep(5, 91)
      await assert.rejects(keep(6, 0), InboundFullError)
      for (const packetId of [3, 4, 5])
        await called((done) => store.deleteInbound('a', packetId, done))
      await keep(7, 500)
      await assert.rejects(keep(8, 0), InboundFullError)
      await store.openSession('a', false)
      await store.openSession('a', true)
      await keep(8, 291)
    })

    test('of an ended session are not stored, and are answered', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.endSession('a')
      await called((done) => under.store.storeInbound('a', 7, message('t'), done))
      await called((done) => under.store.deleteInbound('a', 8, done))
      assert.equal(await under.store.readInbound('a', 7), undefined)
      assert.deepEqual((await under.store.openSession('a', true)).received, [])
    })
  })
}
