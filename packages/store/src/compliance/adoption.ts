import assert from 'node:assert/strict'
import type { Owner } from '../store.ts'
import { adopted, claim, owning, PERSISTENT, topics } from './claim-steps.ts'
import { message, nextMillisecond, type OpenRaw, type Suite } from './store-under-test.ts'

export function adoptionCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('the clients of a departed node', () => {
    test('are found with their latest wills; clients without a will are removed with the node', async () => {
      await using under = await open()
      const { store, other } = under
      const will = message('wïll', Buffer.from([0, 255, 10]), { qos: 2, retain: true })
      const payload = Buffer.from('before')
      await owning(store, 'first', { nodeId: 'dead', will: message('t', payload) })
      payload.fill('x')
      await owning(store, 'replaced', { nodeId: 'dead', will: message('before') })
      await claim(store, 'replaced', { nodeId: 'dead', will })
      await owning(store, 'cancelled', { nodeId: 'dead', will: message('before') })
      await claim(store, 'cancelled', { nodeId: 'dead' })
      await owning(store, 'without', { nodeId: 'dead' })
      const left = await owning(store, 'left', { nodeId: 'dead', will: message('before') })
      await store.leaveClient(left)
      await owning(store, 'elsewhere', { nodeId: 'alive', will: message('alive') })
      await owning(store, 'moved', { nodeId: 'dead', will: message('before') })
      await claim(store, 'moved', { nodeId: 'alive', will: message('moved') })

      const found = await adopted(other, 'dead', 'heir')
      assert.deepEqual(topics(found), ['first t', 'replaced wïll'])
      for (const { owner, will: said } of found) {
        if (owner.clientId === 'first') assert.equal(said.payload.toString(), 'before')
        else assert.deepEqual(said, will)
      }
      for (const clientId of ['cancelled', 'without', 'left'])
        assert.notEqual((await claim(store, clientId)).opened, undefined)
      for (const clientId of ['elsewhere', 'moved'])
        assert.equal((await claim(store, clientId)).former?.nodeId, 'alive')
    })

    test('keep their sessions if no client has opened them since', async () => {
      await using under = await open()
      const { store, other } = under
      const filters = [{ filter: 'f', qos: 1 as const }]
      const owners: Owner[] = []
      for (const will of [message('w'), undefined]) {
        const claimed = { nodeId: 'dead', ...(will === undefined ? {} : { will }) }
        owners.push(await owning(store, will === undefined ? 'without' : 'with', claimed))
      }
      const [heir] = await adopted(other, 'dead', 'heir')
      assert.ok(heir)
      for (const owner of owners) await store.addSubscriptions(owner, filters)
      assert.equal((await store.counts()).sessions, 2)
      assert.deepEqual(await store.replacedOwners(owners), [heir.owner])
      const later = await nextMillisecond()
      await other.leaveClient(heir.owner)
      assert.deepEqual(await store.expireSessions(later), ['without'])
      assert.equal((await claim(store, 'with')).opened?.subscriptions.length, 1)
    })

    test('are adopted once, also when two nodes ask, and adopted again when the adopting node dies', async () => {
      await using under = await open()
      const { store, other } = under
      const clientIds = Array.from({ length: 300 }, (_, index) => `c${index}`)
      await Promise.all(
        clientIds.map((clientId) =>
          owning(store, clientId, { nodeId: 'dead', will: message(clientId) }),
        ),
      )
      const [one, two] = await Promise.all([
        adopted(store, 'dead', 'one'),
        adopted(other, 'dead', 'two'),
      ])
      assert.deepEqual(
        [...one, ...two].map(({ will }) => will.topic).toSorted(),
        clientIds.toSorted(),
      )
      assert.deepEqual(await adopted(store, 'dead', 'one'), [])
      for (const { owner } of one.slice(1)) await store.leaveClient(owner)
      const again = await adopted(other, 'one', 'two')
      assert.deepEqual(topics(again), topics(one.slice(0, 1)))
      assert.ok((again[0]?.owner.epoch ?? 0) > (one[0]?.owner.epoch ?? Infinity))
      assert.deepEqual(await adopted(other, 'one', 'two'), [])
    })

    test('that come back no longer belong to the adopting node', async () => {
      await using under = await open()
      const { store, other } = under
      await owning(store, 'a', { nodeId: 'dead', will: message('w') })
      const [heir] = await adopted(other, 'dead', 'heir')
      assert.ok(heir)
      const back = await claim(store, 'a', { nodeId: 'one' })
      assert.deepEqual(back.former, { nodeId: 'heir', epoch: heir.owner.epoch })
      await other.leaveClient(heir.owner)
      const owner = { clientId: 'a', epoch: back.epoch }
      assert.notEqual(await store.openSession(owner, PERSISTENT), 'taken-over')
      assert.deepEqual(await adopted(other, 'heir', 'two'), [])
    })

    test('may have wills of any size', async () => {
      await using under = await open()
      const clientIds = Array.from({ length: 40 }, (_, index) => `big ${index}`)
      for (const clientId of clientIds)
        await owning(under.store, clientId, {
          nodeId: 'dead',
          will: message(clientId, Buffer.alloc(100_000, clientId)),
        })
      const found = await adopted(under.other, 'dead', 'heir')
      assert.deepEqual(found.map(({ will }) => will.topic).toSorted(), clientIds.toSorted())
      for (const { will } of found)
        assert.deepEqual(will.payload, Buffer.alloc(100_000, will.topic))
    })
  })
}
