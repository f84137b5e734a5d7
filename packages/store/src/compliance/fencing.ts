import assert from 'node:assert/strict'
import { bucketOf } from '@breakwater/redis'
import { FencedError, queuedBytes, type OpenedSession, type Owner, type Store } from '../store.ts'
import { append, called, message, type OpenRaw, type Suite } from './store-under-test.ts'

export function fencingCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('a session with a new owner', () => {
    test('accepts nothing from the former owner, which is notified; its pending writes get an error', async () => {
      const fenced: [string, number][] = []
      await using under = await open({ onFenced: (...told) => fenced.push(told) })
      const { store, other } = under
      const before = await own(store, 'a')
      await store.addSubscriptions(before, [{ filter: 'kept', qos: 1 }])
      const queued = message('t', 'queued', { qos: 2 })
      await append(store, { message: queued, queues: [{ clientId: 'a', qos: 2 }] })
      const owner = await own(other, 'a')
      const bytes = queuedBytes(queued)
      store.settle(before, 1, bytes)
      store.recordSent(before, 1)
      store.complete(before, 1)
      const isFenced = (error: unknown): boolean => error instanceof FencedError
      const released = { position: 1, packetId: 1, bytes }
      await assert.rejects(
        called((done) => store.release(before, released, done)),
        isFenced,
      )
      await assert.rejects(
        called((done) => store.storeInbound(before, 7, queued, done)),
        isFenced,
      )
      await assert.rejects(store.addSubscriptions(before, [{ filter: 'x', qos: 1 }]), isFenced)
      await assert.rejects(store.removeSubscriptions(before, ['kept']), isFenced)
      assert.equal((await store.readQueue(before, 1, 10, 1_000)).length, 1)
      await store.leaveClient(before)
      assert.ok(fenced.length > 0)
      for (const told of fenced) assert.deepEqual(told, ['a', before.epoch])
      const { epoch: _, ...opened } = await opening(other, 'a')
      assert.deepEqual(opened, {
        present: true,
        subscriptions: [{ filter: 'kept', qos: 1 }],
        sentPosition: 0,
        released: [],
        received: [],
      })
      const told = fenced.length
      const now = { clientId: 'a', epoch: _ }
      assert.ok(now.epoch > owner.epoch)
      await called((done) => other.release(now, released, done))
      assert.equal((await other.readQueue(now, 1, 10, 1_000)).length, 0)
      assert.equal(fenced.length, told)
    })
  })

  describe('a QoS 2 publish that is released', () => {
    test('is deleted together with its effects, also without effects', async () => {
      await using under = await open()
      const { store, other } = under
      const owner = await own(store, 'a')
      const published = message('t', 'm', { qos: 2 })
      for (const queues of [[{ clientId: 'a', qos: 2 as const }], []]) {
        await called((done) => store.storeInbound(owner, 7, published, done))
        const inbound = { clientId: 'a', packetId: 7 }
        await append(store, { message: published, queues, inbound })
        assert.equal(await other.readInbound('a', 7), undefined)
      }
      assert.equal((await other.readQueue(owner, 1, 10, 1_000)).length, 1)
    })

    test('takes effect once, although a former owner releases it too', async () => {
      await using under = await open()
      const { store, other } = under
      const owner = await own(store, 'a')
      const published = message('t', 'm', { qos: 2, retain: true })
      await called((done) => store.storeInbound(owner, 7, published, done))
      const queues = [{ clientId: 'a', qos: 2 as const }]
      const effects = { message: published, queues, inbound: { clientId: 'a', packetId: 7 } }
      const first = await append(store, effects)
      const { epochs, ...done } = first
      assert.deepEqual(done, { positions: [1], dropped: 0, retainedChanged: true })
      assert.equal(epochs?.length, 1)
      const second = await append(other, effects)
      const left = { positions: [-1], dropped: 0, retainedChanged: false, again: true }
      assert.deepEqual(second, left)
      assert.equal((await other.readQueue(owner, 1, 10, 1_000)).length, 1)
    })
  })

  describe('the filters of requested sessions', () => {
    test('are returned in the order of the ids, with no filters for a missing session', async () => {
      await using under = await open()
      // Redis keeps `n` and its neighbours in one place: they must not come together for that.
      const neighbours = neighboursOf('n', 2)
      const clientIds = [
        'n',
        'a',
        'gone',
        ...neighbours.slice(0, 1),
        'none',
        ...neighbours.slice(1),
      ]
      for (const clientId of clientIds.filter((id) => id !== 'gone')) {
        const owner = await own(under.store, clientId)
        if (clientId !== 'none')
          await under.store.addSubscriptions(owner, [{ filter: clientId, qos: 2 }])
      }
      const found = await under.other.filtersOf(clientIds)
      assert.deepEqual(
        found.map(({ clientId }) => clientId),
        clientIds,
      )
      assert.deepEqual(
        found.map(({ subscriptions }) => subscriptions.map(({ filter }) => filter)),
        clientIds.map((clientId) => (['gone', 'none'].includes(clientId) ? [] : [clientId])),
      )
      assert.deepEqual(await under.other.filtersOf([]), [])
    })
  })

  async function opening(store: Store, clientId: string): Promise<OpenedSession> {
    const terms = { persistent: true, user: 'user' }
    const claimed = await store.claimClient({ clientId, nodeId: 'node', ...terms })
    if (typeof claimed === 'string') throw new Error(`${clientId}: ${claimed}`)
    const { epoch } = claimed
    const opened = claimed.opened ?? (await store.openSession({ clientId, epoch }, terms))
    if (typeof opened === 'string') throw new Error(`${clientId}: ${opened}`)
    return opened
  }

  async function own(store: Store, clientId: string): Promise<Owner> {
    const { epoch } = await opening(store, clientId)
    return { clientId, epoch }
  }
}

/** Client ids of the bucket of another one. */
function neighboursOf(clientId: string, count: number): string[] {
  const found: string[] = []
  for (let index = 0; found.length < count; index += 1)
    if (bucketOf(`${index}`) === bucketOf(clientId)) found.push(`${index}`)
  return found
}
