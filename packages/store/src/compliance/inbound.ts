import assert from 'node:assert/strict'
import { called, message, type OpenStore, type Suite } from './store-under-test.ts'

export function inboundCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('QoS 2 publishes that are not released', () => {
    test('are kept by packet id with all they say, for every node', async () => {
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

    test('are gone when they are deleted; what is not there is no error', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await called((done) => under.store.storeInbound('a', 7, message('t'), done))
      await called((done) => under.store.deleteInbound('a', 7, done))
      await called((done) => under.store.deleteInbound('a', 7, done))
      assert.equal(await under.store.readInbound('a', 7), undefined)
      assert.deepEqual((await under.store.openSession('a', true)).received, [])
    })

    test('are replaced where the packet id is used again', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      for (const topic of ['before', 'after'])
        await called((done) => under.store.storeInbound('a', 7, message(topic), done))
      assert.equal((await under.store.readInbound('a', 7))?.topic, 'after')
    })

    test('keep a payload whose buffer is used again', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const shared = Buffer.from('before')
      await called((done) => under.store.storeInbound('a', 7, message('t', shared), done))
      shared.fill('x')
      assert.equal((await under.store.readInbound('a', 7))?.payload.toString(), 'before')
    })

    test('of a session that has ended are not kept, and are answered', async () => {
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
