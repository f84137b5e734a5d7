import assert from 'node:assert/strict'
import {
  called,
  enqueue,
  filtersOf,
  message,
  nextMillisecond,
  queueOf,
  written,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'
import { queuedBytes } from '../store.ts'
import { USER } from './claim-steps.ts'

/** More than any implementation handles in one step. */
const MANY = 1_200

export function sessionCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('a stored session', () => {
    test('is new when none existed', async () => {
      await using under = await open()
      const { epoch, ...opened } = await under.store.openSession('a', true)
      assert.ok(epoch > 0)
      assert.deepEqual(opened, {
        present: false,
        subscriptions: [],
        sentPosition: 0,
        released: [],
        received: [],
      })
    })

    test('is present after it was opened, at every node, also without subscriptions', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      assert.equal((await under.store.openSession('a', true)).present, true)
      await under.store.leaveClient('a')
      assert.equal((await under.other.openSession('a', true)).present, true)
    })

    test('ends with all its data when its client id is opened without persistence', async () => {
      await using under = await open()
      await fill(under.store, 'a')
      const clean = await under.other.openSession('a', false)
      assert.equal(clean.present, false)
      assert.equal((await under.store.counts()).sessions, 0)
      await assertNew(under.store, 'a')
    })

    test('ends with all its data when it is ended; another session does not', async () => {
      await using under = await open()
      await fill(under.store, 'a')
      await fill(under.store, 'b')
      await under.store.endSession('a')
      await under.store.endSession('never there')
      await assertNew(under.store, 'a')
      const { present, received } = await under.store.openSession('b', true)
      assert.deepEqual({ present, received }, { present: true, received: [9] })
    })

    test('is described with its user, its node, its filters and its queue', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [
        { filter: 'f/1', qos: 1 },
        { filter: 'f/2', qos: 2 },
      ])
      await enqueue(under.store, 'a', 'payload')
      const facts = await under.other.sessionFacts('a')
      assert.ok(Math.abs((facts?.seenMs ?? 0) - Date.now()) < 60_000)
      assert.ok(facts?.nodeId !== undefined && facts.nodeId !== '')
      assert.deepEqual(
        { ...facts, seenMs: 0, nodeId: '' },
        {
          user: USER,
          nodeId: '',
          seenMs: 0,
          filters: 2,
          queuedMessages: 1,
          queuedBytes: queuedBytes(message('t', 'payload')),
        },
      )
      await under.store.leaveClient('a')
      assert.equal((await under.other.sessionFacts('a'))?.nodeId, undefined)
      assert.equal(await under.store.sessionFacts('never there'), undefined)
      await under.store.openSession('clean', false)
      assert.equal(await under.store.sessionFacts('clean'), undefined)
    })

    test('is not created by a clean open', async () => {
      await using under = await open()
      await under.store.openSession('a', false)
      assert.equal((await under.store.counts()).sessions, 0)
      assert.equal((await under.store.openSession('a', true)).present, false)
    })

    test('has an epoch that rises at each open', async () => {
      await using under = await open()
      const epochs: number[] = []
      for (let round = 0; round < 5; round += 1) {
        for (const store of [under.store, under.other]) {
          for (const persistent of [true, false])
            epochs.push((await store.openSession('a', persistent)).epoch)
          await store.endSession('a')
        }
      }
      assert.deepEqual(
        epochs,
        [...new Set(epochs)].toSorted((a, b) => a - b),
      )
    })

    test('is counted until it ends', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.openSession('b', true)
      await under.store.openSession('clean', false)
      assert.equal((await under.other.counts()).sessions, 2)
      await under.store.endSession('a')
      assert.equal((await under.other.counts()).sessions, 1)
    })
  })

  describe('the expiry of sessions', () => {
    test('ends the sessions last seen before a time, and returns their ids', async () => {
      await using under = await open()
      await fill(under.store, 'old')
      await under.store.leaveClient('old')
      const later = await nextMillisecond()
      await under.store.openSession('new', true)
      assert.deepEqual(await under.other.expireSessions(later), ['old'])
      assert.deepEqual(await under.other.expireSessions(later), [])
      assert.equal((await under.store.counts()).sessions, 1)
      await assertNew(under.store, 'old')
      assert.equal((await under.store.openSession('new', true)).present, true)
    })

    test('leaves a session alone that was touched, left or opened later', async () => {
      await using under = await open()
      for (const clientId of ['touched', 'left', 'opened', 'silent'])
        await under.store.openSession(clientId, true)
      for (const clientId of ['touched', 'opened', 'silent'])
        await under.store.leaveClient(clientId)
      const later = await nextMillisecond()
      await under.store.touchSessions(['touched'])
      await under.store.leaveClient('left')
      await under.store.openSession('opened', true)
      assert.deepEqual(await under.store.expireSessions(later), ['silent'])
    })

    test('ends no session that is opened at the same time', async () => {
      await using under = await open()
      for (let round = 0; round < 20; round += 1) {
        await under.store.openSession('a', true)
        await under.store.leaveClient('a')
        const later = await nextMillisecond()
        const [expired, opened] = await Promise.all([
          under.other.expireSessions(later),
          under.store.openSession('a', true),
        ])
        // Either it had expired before and is new, or it was there and stays.
        assert.equal(expired.includes('a'), !opened.present)
        assert.equal((await under.store.openSession('a', true)).present, true)
      }
    })

    test('is not undone by a late touch', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.endSession('a')
      await under.store.touchSessions(['a', 'never there'])
      await under.store.leaveClient('a')
      assert.equal((await under.store.counts()).sessions, 0)
      assert.equal((await under.store.openSession('a', true)).present, false)
    })

    test('ends all expired sessions, for any number', async () => {
      await using under = await open()
      const clientIds = Array.from({ length: MANY }, (_, index) => `c${index}`)
      await Promise.all(clientIds.map((clientId) => under.store.openSession(clientId, true)))
      await Promise.all(clientIds.map((clientId) => under.store.leaveClient(clientId)))
      await under.store.touchSessions(clientIds)
      const expired = await under.store.expireSessions(await nextMillisecond())
      assert.deepEqual(expired.toSorted(), clientIds.toSorted())
      assert.equal((await under.store.counts()).sessions, 0)
    })
  })

  async function fill(store: Awaited<ReturnType<OpenStore>>['store'], clientId: string) {
    await store.openSession(clientId, true)
    await store.addSubscriptions(clientId, [{ filter: 't', qos: 2 }])
    await enqueue(store, clientId, 'queued')
    const position = await enqueue(store, clientId, 'released', 2)
    await called((done) => store.release(clientId, position, 7, done))
    await called((done) => store.storeInbound(clientId, 9, message('t'), done))
  }

  async function assertNew(store: Awaited<ReturnType<OpenStore>>['store'], clientId: string) {
    assert.equal((await filtersOf(store)).has(clientId), false)
    assert.deepEqual(await queueOf(store, clientId), [])
    assert.equal(await store.readInbound(clientId, 9), undefined)
    const { epoch: _, ...opened } = await store.openSession(clientId, true)
    assert.deepEqual(opened, {
      present: false,
      subscriptions: [],
      sentPosition: 0,
      released: [],
      received: [],
    })
    assert.equal(await enqueue(store, clientId, 'first'), 1)
    await written(store)
  }
}
