import assert from 'node:assert/strict'
import type { HeldClient, OpenedSession, Owner, SessionTerms } from '../store.ts'
import { adopted, claim, owning, PERSISTENT, topics, USER } from './claim-steps.ts'
import { message, nextMillisecond, type OpenRaw, type Suite } from './store-under-test.ts'

const CLEAN: SessionTerms = { persistent: false, user: USER }
const NEW = {
  present: false,
  subscriptions: [],
  sentPosition: 0,
  released: [],
  received: [],
}

export function ownershipCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('a claim of a client id', () => {
    test('without an owner opens the session at once: a new one, the stored one, or none', async () => {
      await using under = await open()
      const { store, other } = under
      const made = await claim(store, 'a')
      assert.deepEqual(made, { epoch: made.epoch, opened: { epoch: made.epoch, ...NEW } })
      const first = { clientId: 'a', epoch: made.epoch }
      await store.addSubscriptions(first, [{ filter: 'f', qos: 1 }])
      await store.leaveClient(first)
      const resumed = await claim(other, 'a')
      assert.deepEqual(resumed, {
        epoch: resumed.epoch,
        opened: {
          ...NEW,
          epoch: resumed.epoch,
          present: true,
          subscriptions: [{ filter: 'f', qos: 1 }],
        },
      })
      await other.leaveClient({ clientId: 'a', epoch: resumed.epoch })
      const clean = await claim(store, 'a', { persistent: false })
      assert.deepEqual(clean, { epoch: clean.epoch, opened: { epoch: clean.epoch, ...NEW } })
      assert.equal((await other.counts()).sessions, 0)
      assert.ok(made.epoch < resumed.epoch && resumed.epoch < clean.epoch)
    })

    test('with an owner returns that owner, which keeps the session until the claimant opens it', async () => {
      await using under = await open()
      const { store, other } = under
      const before = await owning(store, 'a', { nodeId: 'one' })
      const claimed = await claim(other, 'a', { nodeId: 'two' })
      assert.deepEqual(claimed, {
        epoch: claimed.epoch,
        former: { nodeId: 'one', epoch: before.epoch },
      })
      const owner = { clientId: 'a', epoch: claimed.epoch }
      await store.addSubscriptions(before, [{ filter: 'late', qos: 1 }])
      const opened = await other.openSession(owner, PERSISTENT)
      assert.deepEqual(opened, {
        ...NEW,
        epoch: owner.epoch,
        present: true,
        subscriptions: [{ filter: 'late', qos: 1 }],
      })
      await assert.rejects(store.addSubscriptions(before, [{ filter: 'too late', qos: 1 }]))
      await other.addSubscriptions(owner, [{ filter: 'new', qos: 1 }])
    })

    test('returns an owner without a session, and creates no session', async () => {
      await using under = await open()
      const { store, other } = under
      const before = await owning(store, 'a', { nodeId: 'one', persistent: false })
      const { epoch, former } = await claim(other, 'a', { nodeId: 'two' })
      assert.deepEqual(former, { nodeId: 'one', epoch: before.epoch })
      assert.equal((await store.counts()).sessions, 0)
      const opened = await other.openSession({ clientId: 'a', epoch }, PERSISTENT)
      assert.deepEqual(opened, { epoch, ...NEW })
      const clean = await claim(store, 'a', { persistent: false })
      assert.equal((await store.counts()).sessions, 1)
      assert.deepEqual(await store.openSession({ clientId: 'a', epoch: clean.epoch }, CLEAN), {
        epoch: clean.epoch,
        ...NEW,
      })
      assert.equal((await store.counts()).sessions, 0)
    })

    test('that is the latest wins, in whichever order two claims are opened', async () => {
      await using under = await open()
      const { store, other } = under
      for (const order of ['first', 'last'] as const)
        for (const terms of [PERSISTENT, CLEAN]) {
          const clientId = `${order} ${terms.persistent}`
          const before = await owning(store, clientId, { nodeId: 'zero' })
          const one = await claim(store, clientId, { ...terms, nodeId: 'one' })
          const two = await claim(other, clientId, { ...terms, nodeId: 'two' })
          assert.deepEqual(one.former, { nodeId: 'zero', epoch: before.epoch })
          assert.deepEqual(two.former, { nodeId: 'one', epoch: one.epoch })
          const loser = () => store.openSession({ clientId, epoch: one.epoch }, terms)
          const winner = () => other.openSession({ clientId, epoch: two.epoch }, terms)
          if (order === 'first') assert.equal(await loser(), 'taken-over')
          const opened = (await winner()) as OpenedSession
          assert.equal(opened.epoch, two.epoch)
          if (order === 'last') assert.equal(await loser(), 'taken-over')
          assert.equal((await store.counts()).sessions, terms.persistent ? 1 : 0)
          if (terms.persistent) {
            const filters = [{ filter: 'f', qos: 1 as const }]
            await other.addSubscriptions({ clientId, epoch: two.epoch }, filters)
            await assert.rejects(store.addSubscriptions(before, filters))
          }
          await other.leaveClient({ clientId, epoch: two.epoch })
          await other.endSession(clientId)
        }
    })

    test('at the same time as others has its own epoch, and one claim is the latest', async () => {
      await using under = await open()
      const stores = [under.store, under.other, under.store, under.other]
      const claims = await Promise.all(
        stores.map((store, index) => claim(store, 'a', { nodeId: `${index}` })),
      )
      const epochs = claims.map(({ epoch }) => epoch)
      assert.equal(new Set(epochs).size, 4)
      assert.equal(claims.filter(({ opened }) => opened !== undefined).length, 1)
      const formers = claims.flatMap(({ former }) => (former === undefined ? [] : [former.epoch]))
      const inOrder = epochs.toSorted((a, b) => a - b)
      assert.deepEqual(
        formers.toSorted((a, b) => a - b),
        inOrder.slice(0, 3),
      )
      const answers = await Promise.all(
        stores.map((store, index) =>
          store.openSession({ clientId: 'a', epoch: epochs[index] as number }, PERSISTENT),
        ),
      )
      for (const [index, answer] of answers.entries())
        assert.equal(answer === 'taken-over', epochs[index] !== inOrder[3])
    })

    test('of another user is refused without a change, whether the client is connected or not', async () => {
      await using under = await open()
      const { store, other } = under
      const mallory = { user: 'mallory', nodeId: 'two', will: message('w') }
      const before = await owning(store, 'a', { nodeId: 'one', will: message('kept') })
      for (const persistent of [true, false])
        assert.equal(
          await other.claimClient({ clientId: 'a', ...mallory, persistent }),
          'another-user',
        )
      await store.addSubscriptions(before, [{ filter: 'f', qos: 1 }])
      assert.deepEqual(topics(await adopted(other, 'one', 'three')), ['a kept'])
      const { former, epoch } = await claim(store, 'a')
      assert.equal(former?.nodeId, 'three')
      await store.leaveClient({ clientId: 'a', epoch })
      for (const persistent of [true, false])
        assert.equal(
          await other.claimClient({ clientId: 'a', ...mallory, persistent }),
          'another-user',
        )
      assert.equal((await claim(store, 'a')).opened?.subscriptions.length, 1)
    })

    test('by another user takes over a client that is connected without a session', async () => {
      for (const persistent of [true, false]) {
        await using under = await open()
        const { store, other } = under
        const owner = await owning(store, 'a', { nodeId: 'one', persistent: false })
        const ben = { clientId: 'a', nodeId: 'two', user: 'ben', persistent }
        const claimed = await other.claimClient(ben)
        assert.ok(typeof claimed === 'object' && claimed.epoch > owner.epoch)
        assert.deepEqual(claimed.former, { nodeId: 'one', epoch: owner.epoch })
        assert.equal(await store.openSession(owner, CLEAN), 'taken-over')
        const opened = await other.openSession({ clientId: 'a', epoch: claimed.epoch }, ben)
        assert.ok(typeof opened === 'object' && !opened.present)
        // From here on it is the session, if there is one, that says whose the client id is.
        const back = await store.claimClient({ ...ben, user: 'user', persistent: false })
        assert.equal(back === 'another-user', persistent)
      }
    })

    test('without a user does not take over a client of a user that is connected without a session', async () => {
      await using under = await open()
      const { store, other } = under
      const nobody = { clientId: 'a', nodeId: 'two', user: '', persistent: false }
      const owner = await owning(store, 'a', { persistent: false })
      for (const persistent of [true, false])
        assert.equal(await other.claimClient({ ...nobody, persistent }), 'another-user')
      assert.notEqual(await store.openSession(owner, CLEAN), 'taken-over')
      await store.leaveClient(owner)
      const free = await other.claimClient(nobody)
      assert.ok(typeof free === 'object' && free.former === undefined)
      const { former } = await claim(store, 'a', { persistent: false })
      assert.deepEqual(former, { nodeId: 'two', epoch: free.epoch })
    })
  })

  describe('a claimed session is opened', () => {
    test('only by its owner, any number of times, and not by an owner that has left', async () => {
      await using under = await open()
      const { store } = under
      const nobody = { clientId: 'a', epoch: 1 }
      assert.equal(await store.openSession(nobody, PERSISTENT), 'taken-over')
      assert.equal((await store.counts()).sessions, 0)
      const owner = await owning(store, 'a')
      assert.equal(((await store.openSession(owner, PERSISTENT)) as OpenedSession).present, true)
      await store.leaveClient(owner)
      for (const terms of [PERSISTENT, CLEAN])
        assert.equal(await store.openSession(owner, terms), 'taken-over')
      assert.equal((await store.counts()).sessions, 1)
    })

    test('only for the user that created it', async () => {
      await using under = await open()
      const owner = await owning(under.store, 'a')
      for (const persistent of [true, false])
        assert.equal(
          await under.store.openSession(owner, { persistent, user: 'mallory' }),
          'another-user',
        )
      assert.equal((await under.store.counts()).sessions, 1)
    })
  })

  describe('a client that leaves', () => {
    test('after another client took its place, changes nothing', async () => {
      await using under = await open()
      const { store, other } = under
      const before = await owning(store, 'a', { nodeId: 'one', will: message('before') })
      const { epoch } = await claim(other, 'a', { nodeId: 'two', will: message('now') })
      await store.leaveClient(before)
      const owner = { clientId: 'a', epoch }
      assert.notEqual(await other.openSession(owner, PERSISTENT), 'taken-over')
      await store.leaveClient(before)
      await store.endSession('a')
      await other.addSubscriptions(owner, [{ filter: 'f', qos: 1 }])
      assert.deepEqual(topics(await adopted(store, 'two', 'three')), ['a now'])
    })

    test('before opening the session leaves the session to the former owner and to the next', async () => {
      await using under = await open()
      const { store, other } = under
      const before = await owning(store, 'a')
      const { epoch } = await claim(other, 'a')
      await other.leaveClient({ clientId: 'a', epoch })
      await store.addSubscriptions(before, [{ filter: 'f', qos: 1 }])
      const { opened } = await claim(other, 'a')
      assert.equal(opened?.subscriptions.length, 1)
      await assert.rejects(store.addSubscriptions(before, [{ filter: 'g', qos: 1 }]))
    })
  })

  describe('a connected client', () => {
    test('keeps its session however long it is idle; the session expires after the client has left', async () => {
      await using under = await open()
      const { store, other } = under
      const owner = await owning(store, 'a')
      await owning(store, 'gone').then((gone) => store.leaveClient(gone))
      const later = (await nextMillisecond()) + 1
      assert.deepEqual(await other.expireSessions(later), ['gone'])
      await other.endSession('a')
      await store.addSubscriptions(owner, [{ filter: 'f', qos: 1 }])
      assert.equal((await other.subscriptions('a')).length, 1)
      const left = await nextMillisecond()
      await store.leaveClient(owner)
      assert.deepEqual(await other.expireSessions(left), [])
      assert.deepEqual(await other.expireSessions((await nextMillisecond()) + 1), ['a'])
    })
  })

  describe('replaced owners', () => {
    test('are those whose client id has a later owner', async () => {
      await using under = await open()
      const { store, other } = under
      const owners: Owner[] = []
      for (const clientId of ['kept', 'claimed', 'opened', 'left'])
        owners.push(await owning(store, clientId))
      const [, , , left] = owners as [Owner, Owner, Owner, Owner]
      await store.leaveClient(left)
      const claimed = await claim(other, 'claimed')
      const opened = await claim(other, 'opened')
      await other.openSession({ clientId: 'opened', epoch: opened.epoch }, CLEAN)
      const never = { clientId: 'never there', epoch: 1 }
      assert.deepEqual(await store.replacedOwners([...owners, never]), [
        { clientId: 'claimed', epoch: claimed.epoch },
        { clientId: 'opened', epoch: opened.epoch },
      ])
      assert.deepEqual(await store.replacedOwners([]), [])
    })
  })

  describe('restored owners', () => {
    test('own free client ids again, with their wills, and get the current owner of the others', async () => {
      await using under = await open()
      const { store, other } = under
      const will = message('will')
      const held: HeldClient[] = []
      for (const clientId of ['lost', 'kept', 'claimed', 'returned']) {
        const { epoch } = await owning(store, clientId)
        held.push({ clientId, epoch, nodeId: 'back', user: USER, will })
      }
      const [lost, kept, claimed, returned] = held as [
        HeldClient,
        HeldClient,
        HeldClient,
        HeldClient,
      ]
      await store.leaveClient(lost)
      const later = await claim(other, 'claimed')
      // Another client has opened the session since, and has left again.
      await store.leaveClient(returned)
      const visitor = await claim(other, 'returned')
      await other.leaveClient({ clientId: 'returned', epoch: visitor.epoch })
      assert.deepEqual(await store.restoreOwners(held), [
        { clientId: 'claimed', epoch: later.epoch },
        { clientId: 'returned', epoch: visitor.epoch },
      ])
      const next = await claim(other, 'lost')
      assert.deepEqual(next.former, { nodeId: 'back', epoch: lost.epoch })
      assert.ok(next.epoch > lost.epoch)
      await store.leaveClient(kept)
      await store.restoreOwners([kept])
      assert.deepEqual(topics(await adopted(other, 'back', 'heir')), ['kept will'])
      assert.equal(claimed.epoch < later.epoch, true)
    })
  })
}
