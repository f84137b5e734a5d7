import assert from 'node:assert/strict'
import { InboundFullError } from '../share-bounds.ts'
import type { ClientClaim, Owner, Store } from '../store.ts'
import { claim, owning } from './claim-steps.ts'
import {
  append,
  called,
  message,
  nextMillisecond,
  type OpenRaw,
  type Suite,
} from './store-under-test.ts'

const ANN: Partial<ClientClaim> = { account: 'uann' }

/** What claiming it brings: refused, a new session, or one that was there. */
async function asked(
  store: Store,
  clientId: string,
  terms: Partial<ClientClaim> = ANN,
): Promise<string> {
  const claimed = await store.claimClient({
    clientId,
    nodeId: 'node',
    user: 'user',
    persistent: true,
    ...terms,
  })
  if (typeof claimed === 'string') return claimed
  const { epoch, former } = claimed
  const persistent = terms.persistent ?? true
  const { account } = terms
  const opened =
    claimed.opened ??
    (await store.openSession({ clientId, epoch }, { persistent, user: 'user', account }))
  if (typeof opened === 'string') return opened
  if (former === undefined) await store.leaveClient({ clientId, epoch })
  return opened.present ? 'resumed' : 'new'
}

/** How many messages of 100 bytes, with their envelope, the queue of the session keeps. */
async function kept(store: Store, owner: Owner): Promise<number> {
  const queues = [{ clientId: owner.clientId, qos: 1 as const }]
  for (let count = 0; count < 12; count += 1)
    await append(store, { message: message('t', 'x'.repeat(91)), queues })
  return (await store.readQueue(owner, 1, 100, 1_000_000)).length
}

export function userCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('sessions of one user', () => {
    test('are limited to sessionsPerUserMax; existing sessions can always be resumed', async () => {
      await using under = await open({ shares: { sessionsPerUserMax: 2 } })
      const { store, other } = under
      assert.equal(await asked(store, 'a'), 'new')
      assert.equal(await asked(other, 'b'), 'new')
      assert.equal(await asked(store, 'c'), 'sessions-full')
      assert.equal(await asked(other, 'a'), 'resumed')
      assert.equal(await asked(store, 'b'), 'resumed')
      assert.equal(await asked(store, 'c', { ...ANN, persistent: false }), 'new')
      // Nothing is left of the one that was refused.
      assert.equal(await asked(store, 'c', { account: 'ubob' }), 'new')
      assert.equal((await store.counts()).sessions, 3)
      assert.equal(await asked(store, 'd', { account: undefined }), 'new')
    })

    test('make room when they end by a clean connection, by expiry or by an operator', async () => {
      await using under = await open({ shares: { sessionsPerUserMax: 1 } })
      const { store, other } = under
      assert.equal(await asked(store, 'a'), 'new')
      assert.equal(await asked(other, 'a', { ...ANN, persistent: false }), 'new')
      assert.equal(await asked(store, 'b'), 'new')
      assert.equal(await asked(store, 'a'), 'sessions-full')
      assert.deepEqual(await other.expireSessions(await nextMillisecond()), ['b'])
      assert.equal(await asked(store, 'a'), 'new')
      await store.endSession('a')
      assert.equal(await asked(other, 'c'), 'new')
      assert.equal(await asked(store, 'a'), 'sessions-full')
    })

    test('are counted when many are opened at once', async () => {
      await using under = await open({ shares: { sessionsPerUserMax: 5 } })
      const ids = Array.from({ length: 20 }, (_, index) => `device-${index}`)
      const answers = await Promise.all(
        ids.map((clientId, index) => asked(index % 2 === 0 ? under.store : under.other, clientId)),
      )
      assert.equal(answers.filter((answer) => answer === 'new').length, 5)
      assert.equal(answers.filter((answer) => answer === 'sessions-full').length, 15)
      assert.equal((await under.store.counts()).sessions, 5)
    })

    test('are refused behind a clean connection with the client id, which is free afterwards', async () => {
      await using under = await open({ shares: { sessionsPerUserMax: 1 } })
      const { store, other } = under
      assert.equal(await asked(store, 'a'), 'new')
      await claim(store, 'b', { ...ANN, persistent: false })
      assert.equal(await asked(other, 'b'), 'sessions-full')
      assert.equal((await store.counts()).sessions, 1)
    })

    test('may queue queueBytesPerUserMax divided by their number at the time when each was opened', async () => {
      await using under = await open({ shares: { queueBytesPerUserMax: 1_000 } })
      const { store, other } = under
      const owners: Owner[] = []
      for (const clientId of ['a', 'b', 'c', 'd']) owners.push(await owning(store, clientId, ANN))
      const [a, b, c, d] = owners as [Owner, Owner, Owner, Owner]
      assert.equal(await kept(other, a), 10)
      assert.equal(await kept(other, b), 5)
      assert.equal(await kept(other, c), 3)
      await store.leaveClient(a)
      await store.endSession('a')
      assert.equal(await kept(other, d), 2)
      assert.equal(await kept(other, await owning(store, 'e', ANN)), 2)
      assert.equal(await kept(other, await owning(store, 'of another', { account: 'ubob' })), 10)
    })

    test('each keep one message of any size', async () => {
      await using under = await open({ shares: { queueBytesPerUserMax: 1_024 } })
      const { store } = under
      const owner = await owning(store, 'a', ANN)
      const queues = [{ clientId: 'a', qos: 1 as const }]
      for (const topic of ['first', 'last'])
        await append(store, { message: message(topic, 'x'.repeat(5_000)), queues })
      const found = await store.readQueue(owner, 1, 100, 1_000_000)
      assert.deepEqual(
        found.map((queued) => queued.message.topic),
        ['last'],
      )
    })

    test('store QoS 2 publishes within the same bound as the queue', async () => {
      await using under = await open({ shares: { queueBytesPerUserMax: 200 } })
      const { store } = under
      const owner = await owning(store, 'a', ANN)
      const keep = (packetId: number): Promise<void> =>
        called((done) => store.storeInbound(owner, packetId, message('t', 'x'.repeat(91)), done))
      await keep(1)
      await keep(2)
      await assert.rejects(keep(3), InboundFullError)
    })
  })

  describe('shared groups of one user', () => {
    const join = async (store: Store, name: string, account: string = 'uann'): Promise<boolean> => {
      const filter = `$share/${name}/t`
      if (!(await store.shared.enter(filter, account))) return false
      await called((done) => store.shared.join(filter, 'nnode', done))
      return true
    }
    const leave = async (store: Store, name: string): Promise<void> => {
      const filter = `$share/${name}/t`
      await called((done) => store.shared.leave(filter, 'nnode', done))
      await store.shared.left(filter, 'uann')
    }

    test('are limited to sharedGroupsPerUserMax; joining the same group again does not count', async () => {
      await using under = await open({ shares: { sharedGroupsPerUserMax: 2 } })
      const { store, other } = under
      assert.equal(await join(store, 'a'), true)
      assert.equal(await join(other, 'b'), true)
      assert.equal(await join(store, 'c'), false)
      assert.equal(await join(other, 'a'), true)
      assert.equal(await join(store, 'c', 'ubob'), true)
      await leave(store, 'a')
      assert.equal(await join(other, 'd'), true)
      assert.equal(await join(store, 'a'), false)
      assert.equal(await join(store, 'c'), false)
    })

    test('may queue queueBytesPerUserMax divided by their number at the time when each was joined', async () => {
      await using under = await open({ shares: { queueBytesPerUserMax: 1_000 } })
      const { store, other } = under
      for (const name of ['a', 'b', 'c', 'b']) assert.equal(await join(store, name), true)
      const found: number[] = []
      for (const name of ['a', 'b', 'c']) {
        const filter = `$share/${name}/t`
        const shared = [{ filter, node: 'node', hash: 0, qos: 1 as const }]
        for (let count = 0; count < 12; count += 1)
          await append(other, { message: message('t', 'x'.repeat(91)), queues: [], shared })
        found.push((await other.shared.read(filter, 'node', 1, 100, 1_000_000)).found.length)
      }
      assert.deepEqual(found, [10, 5, 3])
    })
  })
}
