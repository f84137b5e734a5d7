import assert from 'node:assert/strict'
import { FencedError, queuedBytes, type OpenedSession, type Owner, type Store } from '../store.ts'
import { append, called, message, type OpenRaw, type Suite } from './store-under-test.ts'

export function fencingCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('a session that has another owner', () => {
    test('takes nothing from the one before, who is told; what waits gets an error', async () => {
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
      await store.leaveSession(before)
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

    test('is not touched by the one before who leaves late', async () => {
      await using under = await open()
      const before = await own(under.store, 'a')
      await own(under.other, 'a')
      const later = Date.now() + 1
      while (Date.now() <= later) await new Promise((resolve) => setTimeout(resolve, 1))
      await under.store.leaveSession(before)
      assert.deepEqual(await under.store.expireSessions(later), ['a'])
    })
  })

  describe('a session of another user', () => {
    test('is not given, and not ended by a clean open; nothing changes', async () => {
      await using under = await open()
      const { store, other } = under
      const owner = await own(store, 'a')
      await store.addSubscriptions(owner, [{ filter: 'f', qos: 1 }])
      for (const persistent of [true, false])
        assert.equal(await other.openSession('a', persistent, 'mallory'), 'another-user')
      await store.addSubscriptions(owner, [{ filter: 'g', qos: 1 }])
      const opened = await opening(store, 'a')
      assert.equal(opened.present, true)
      assert.equal(opened.subscriptions.length, 2)
      await store.endSession('a')
      assert.notEqual(await other.openSession('a', true, 'mallory'), 'another-user')
    })
  })

  describe('a QoS 2 publish that is fanned out', () => {
    test('is forgotten with its effects, also where it has none', async () => {
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

    test('takes effect once, though a former owner releases it too', async () => {
      await using under = await open()
      const { store, other } = under
      const owner = await own(store, 'a')
      const published = message('t', 'm', { qos: 2, retain: true })
      await called((done) => store.storeInbound(owner, 7, published, done))
      const queues = [{ clientId: 'a', qos: 2 as const }]
      const effects = { message: published, queues, inbound: { clientId: 'a', packetId: 7 } }
      const first = await append(store, effects)
      assert.deepEqual(first, { positions: [1], dropped: 0 })
      const second = await append(other, effects)
      assert.deepEqual(second, { positions: [-1], dropped: 0, again: true })
      assert.equal((await other.readQueue(owner, 1, 10, 1_000)).length, 1)
    })
  })

  describe('a full queue that does without the newest message', () => {
    test('keeps what it has, by number and by bytes, and counts the others', async () => {
      await using under = await open({
        queueMessagesMax: 2,
        queueBytesMax: 2_500,
        queuePolicy: 'drop-newest',
      })
      const { store } = under
      const owner = await own(store, 'a')
      const enqueue = async (bytes: number) => {
        const sent = message('t', Buffer.alloc(bytes))
        const { positions, dropped } = await append(store, {
          message: sent,
          queues: [{ clientId: 'a', qos: 1 }],
        })
        return [positions[0], dropped]
      }
      assert.deepEqual(await enqueue(10_000), [1, 0])
      assert.deepEqual(await enqueue(1), [0, 1])
      store.settle(owner, 1, queuedBytes(message('t', Buffer.alloc(10_000))))
      await called((done) => store.release(owner, { position: 99, packetId: 1, bytes: 0 }, done))
      assert.deepEqual(await enqueue(1), [2, 0])
      assert.deepEqual(await enqueue(1), [3, 0])
      assert.deepEqual(await enqueue(1), [0, 1])
    })
  })

  describe('the filters of some sessions', () => {
    test('come in the order of the ids, with none where there is no session', async () => {
      await using under = await open()
      const clientIds = ['a', 'gone', 'b', 'none']
      for (const clientId of ['a', 'b', 'none']) {
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
        [['a'], [], ['b'], []],
      )
      assert.deepEqual(await under.other.filtersOf([]), [])
    })
  })

  async function opening(store: Store, clientId: string): Promise<OpenedSession> {
    const opened = await store.openSession(clientId, true, 'user')
    if (opened === 'another-user') throw new Error(`${clientId} is another user's`)
    return opened
  }

  async function own(store: Store, clientId: string): Promise<Owner> {
    const { epoch } = await opening(store, clientId)
    return { clientId, epoch }
  }
}
