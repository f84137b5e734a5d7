import assert from 'node:assert/strict'
import {
  called,
  enqueue,
  filtersOf,
  listed,
  message,
  queueOf,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

/** Client ids that mean something elsewhere, and pairs that a careless key would make the same. */
const ODD_IDS: readonly string[] = [
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'a',
  'A',
  'a ',
  ' a',
  'a:b',
  'a/b',
  ':',
  '{}',
  '{a}',
  '{a}b',
  '}{',
  '*',
  '?',
  '[a]',
  '\\',
  '%7Ba%7D',
  'sessions',
  'epoch',
  '😀',
  'é',
  'e\u0301',
  'x'.repeat(65_535),
  `${'x'.repeat(65_534)}y`,
  '😀'.repeat(16_383),
]

export function identityCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('client ids with any characters', () => {
    test('have separate sessions, with separate filters, queues and QoS 2 publishes', async () => {
      await using under = await open()
      for (const [index, clientId] of ODD_IDS.entries()) {
        const { present } = await under.store.openSession(clientId, true)
        assert.equal(present, false, clientId.slice(0, 20))
        await under.store.addSubscriptions(clientId, [{ filter: `f${index}`, qos: 1 }])
        assert.equal(await enqueue(under.store, clientId, `m${index}`), 1)
        await called((done) => under.store.storeInbound(clientId, index + 1, message('t'), done))
      }
      const all = await filtersOf(under.other)
      assert.deepEqual([...all.keys()].toSorted(), ODD_IDS.toSorted())
      for (const [index, clientId] of ODD_IDS.entries()) {
        const opened = await under.other.openSession(clientId, true)
        assert.equal(opened.present, true)
        assert.deepEqual(listed(opened), [`f${index} 1`])
        assert.deepEqual(opened.received, [index + 1])
        assert.deepEqual(await queueOf(under.other, clientId), [`1 m${index}`])
      }
    })

    test('end only their own session', async () => {
      await using under = await open()
      for (const clientId of ODD_IDS) {
        await under.store.openSession(clientId, true)
        await enqueue(under.store, clientId, 'kept')
      }
      for (const [index, clientId] of ODD_IDS.entries()) {
        await under.store.endSession(clientId)
        assert.equal((await under.store.counts()).sessions, ODD_IDS.length - index - 1)
        const next = ODD_IDS[index + 1]
        if (next !== undefined) assert.deepEqual(await queueOf(under.store, next), ['1 kept'])
      }
    })
  })
}
