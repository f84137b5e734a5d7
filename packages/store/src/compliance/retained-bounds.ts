import assert from 'node:assert/strict'
import { bucketOf, RETAINED_BUCKETS } from '@breakwater/redis'
import { RetainedFullError, type ShareBounds } from '../share-bounds.ts'
import { queuedBytes } from '../store.ts'
import type { OwnedStore } from './owned-store.ts'
import {
  allRetained,
  append,
  called,
  message,
  queueOf,
  retainedTopicsOf,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

/** Topics of 5 bytes that lie in one bucket. */
const [A, B, C, D] = topicsOf(0) as [string, string, string, string]
const [OTHER] = topicsOf(1) as [string]
/** More sessions than one step takes. */
const MANY = 501
/** Envelope and topic of each message. */
const HEAD_BYTES = 13

function topicsOf(bucket: number): string[] {
  return Array.from({ length: 1_000 }, (_, index) => `t/${100 + index}`).filter(
    (topic) => topic.length === 5 && bucketOf(topic, RETAINED_BUCKETS) === bucket,
  )
}

/** Bounds of one bucket. */
function each(bounds: Partial<ShareBounds>): { readonly shares: Partial<ShareBounds> } {
  const shares = Object.entries(bounds).map(([name, bound]) => [name, bound * RETAINED_BUCKETS])
  return { shares: Object.fromEntries(shares) as Partial<ShareBounds> }
}

/** A message of this number of bytes with its overhead; 0 clears it. */
async function retain(
  store: OwnedStore,
  topic: string,
  bytes: number = 100,
  account?: string,
): Promise<void> {
  const payload = 'x'.repeat(Math.max(0, bytes - HEAD_BYTES))
  await append(store, { message: message(topic, payload, { retain: true }), queues: [], account })
}

export function retainedBoundsCompliance({ describe, test }: Suite, open: OpenStore): void {
  const full = (work: Promise<void>): Promise<void> => assert.rejects(work, RetainedFullError)

  describe('bounds of retained messages', () => {
    test('count topics: existing topics can be replaced, and a cleared topic makes room', async () => {
      await using under = await open(each({ retainedMessagesMax: 2 }))
      const { store, other } = under
      await retain(store, A)
      await retain(other, B)
      await full(retain(store, C))
      await full(retain(other, C))
      await retain(store, A, 300)
      await retain(store, OTHER)
      await retain(other, B, 0)
      await retain(store, C)
      await full(retain(store, B))
      assert.deepEqual(await retainedTopicsOf(other), [A, C, OTHER].toSorted())
    })

    test('count bytes: a message that exceeds them leaves the older message in place', async () => {
      await using under = await open(each({ retainedBytesMax: 1_000 }))
      const { store, other } = under
      await retain(store, A, 600)
      await retain(other, B, 400)
      await full(retain(store, C, 20))
      await full(retain(other, A, 601))
      await retain(other, A, 600)
      await retain(store, A, 500)
      await retain(store, B, 500)
      await full(retain(store, B, 501))
      const sizes = (await allRetained(other)).map((kept) => queuedBytes(kept))
      assert.deepEqual(sizes, [500, 500])
    })

    test('per user count the messages that the user published last', async () => {
      await using under = await open(
        each({ retainedMessagesPerUserMax: 2, retainedBytesPerUserMax: 1_000 }),
      )
      const { store, other } = under
      await retain(store, A, 100, 'uann')
      await retain(other, B, 100, 'uann')
      await full(retain(store, C, 100, 'uann'))
      await retain(store, C, 100, 'ubob')
      await full(retain(store, C, 100, 'uann'))
      await retain(store, B, 100, 'ubob')
      await full(retain(store, D, 100, 'ubob'))
      await retain(other, D, 900, 'uann')
      await full(retain(other, D, 901, 'uann'))
      await full(retain(other, A, 101, 'uann'))
      await retain(store, D, 0)
      await retain(other, A, 1_000, 'uann')
      // Without a user only the bounds of the whole store apply.
      for (const topic of [A, B, C, D]) await retain(store, topic, 2_000)
      await retain(store, A, 500, 'uann')
      await retain(store, B, 500, 'uann')
    })

    test('refuse a publish as a whole, also at QoS 2 and for more queues than one step covers', async () => {
      await using under = await open(each({ retainedMessagesMax: 1 }))
      const { store, other } = under
      await retain(store, A)
      const ids = Array.from({ length: MANY }, (_, index) => `c${index}`)
      await Promise.all(ids.map((clientId) => store.openSession(clientId, true)))
      const sent = message(B, 'x', { qos: 2, retain: true })
      await called((done) => store.storeInbound('c0', 7, sent, done))
      const queues = ids.map((clientId) => ({ clientId, qos: 1 as const }))
      const effects = { message: sent, queues, inbound: { clientId: 'c0', packetId: 7 } }
      await assert.rejects(append(store, effects), RetainedFullError)
      for (const clientId of ['c0', `c${MANY - 1}`])
        assert.deepEqual(await queueOf(other, clientId), [])
      assert.notEqual(await other.readInbound('c0', 7), undefined)
      await retain(other, A, 0)
      await append(store, effects)
      assert.deepEqual(await queueOf(other, `c${MANY - 1}`), ['1 x'])
      assert.equal(await other.readInbound('c0', 7), undefined)
    })

    test('keep the order of a topic among retained and refused messages', async () => {
      await using under = await open(each({ retainedMessagesMax: 1 }))
      const { store, other } = under
      const ids = Array.from({ length: 20 }, (_, index) => `c${index}`)
      for (const clientId of ids) await store.openSession(clientId, true)
      const queues = ids.map((clientId) => ({ clientId, qos: 1 as const }))
      const payloads = ['1', '2', '3', '4', '5', '6']
      await Promise.all(
        payloads.map((payload) => {
          const retains = Number(payload) % 2 === 1
          return append(store, { message: message(A, payload, { retain: retains }), queues })
        }),
      )
      for (const clientId of ids)
        assert.deepEqual(
          await queueOf(other, clientId),
          payloads.map((payload) => `${payload} ${payload}`),
        )
    })

    test('count the existing messages, after any sequence of replacing and clearing', async () => {
      await using under = await open(each({ retainedMessagesPerUserMax: 4 }))
      const { store, other } = under
      const accounts = ['uann', 'ubob', 'a192.0.2.1', '', undefined]
      let seed = 7
      const draw = (below: number): number => {
        seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
        return Math.floor((seed / 2 ** 31) * below)
      }
      for (let step = 0; step < 200; step += 1) {
        const topic = [A, B, C, D][draw(4)] as string
        const bytes = draw(3) === 0 ? 0 : HEAD_BYTES + 1 + draw(500)
        await retain(draw(2) === 0 ? store : other, topic, bytes, accounts[draw(5)])
      }
      const found = await allRetained(other)
      const bytes = found.reduce((sum, kept) => sum + queuedBytes(kept), 0)
      assert.ok(found.length > 0)
      assert.equal((await store.counts()).retainedBytes, bytes)
      for (const topic of [A, B, C, D]) await retain(store, topic, 0)
      assert.equal((await other.counts()).retainedBytes, 0)
      // No user has a counted message left.
      for (const account of accounts)
        for (const topic of [A, B, C, D]) await retain(store, topic, 100, account)
    })
  })
}
