import assert from 'node:assert/strict'
import type { RevocationAnswer, RevocationStep, RevocationStore } from '../revocations.ts'
import type { OpenRaw, Suite } from './store-under-test.ts'

const MAX = 3

function stepOf(answer: RevocationAnswer): RevocationStep {
  assert.equal(typeof answer, 'object', JSON.stringify(answer))
  return answer as RevocationStep
}

async function entriesOf(store: RevocationStore): Promise<Record<string, string>> {
  const snapshot = await store.read(-1)
  return Object.fromEntries(snapshot?.entries ?? [])
}

export function revocationCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('revocations in the store', () => {
    test('are visible to every node, and each change returns the previous version', async () => {
      await using under = await open()
      const [own, other] = [under.store.revocations, under.other.revocations]
      assert.equal(await other.read(0), undefined)
      const first = stepOf(await own.change({ id: 'a:1', text: 'one' }, 0, MAX))
      const second = stepOf(await own.change({ id: 'a:2', text: 'two' }, first.version, MAX))
      assert.deepEqual([first.previous, second.previous], [0, first.version])
      assert.ok(second.version > first.version)
      assert.equal(await other.read(second.version), undefined)
      const snapshot = await other.read(first.version)
      assert.equal(snapshot?.version, second.version)
      assert.deepEqual(Object.fromEntries(snapshot.entries), { 'a:1': 'one', 'a:2': 'two' })
      const third = stepOf(await other.change({ id: 'a:1' }, 0, MAX))
      assert.deepEqual(third, { previous: second.version, version: third.version, id: 'a:1' })
      assert.deepEqual(await entriesOf(own), { 'a:2': 'two' })
    })

    test('are changed only if they have the expected value', async () => {
      await using under = await open()
      const { revocations } = under.store
      assert.equal(await revocations.change({ id: 'a:1' }, 0, MAX), 'unchanged')
      assert.equal(
        await revocations.change({ id: 'a:1', from: 'one', text: 'two' }, 0, MAX),
        'unchanged',
      )
      stepOf(await revocations.change({ id: 'a:1', text: 'one' }, 0, MAX))
      assert.equal(await revocations.change({ id: 'a:1', from: 'two' }, 0, MAX), 'unchanged')
      stepOf(await revocations.change({ id: 'a:1', from: 'one', text: 'two' }, 0, MAX))
      assert.deepEqual(await entriesOf(revocations), { 'a:1': 'two' })
      const later = { id: 'a:1', from: 'two', notBeforeMs: Date.now() + 3_600_000 }
      assert.equal(await revocations.change(later, 0, MAX), 'unchanged')
      assert.deepEqual(await entriesOf(revocations), { 'a:1': 'two' })
      stepOf(await revocations.change({ ...later, notBeforeMs: Date.now() - 60_000 }, 0, MAX))
      assert.deepEqual(await entriesOf(revocations), {})
    })

    test('are limited in number; existing ones can still be changed', async () => {
      await using under = await open()
      const { revocations } = under.store
      for (let index = 0; index < MAX; index += 1)
        stepOf(await revocations.change({ id: `a:${index}`, text: 'x' }, 0, MAX))
      assert.equal(await revocations.change({ id: 'a:9', text: 'x' }, 0, MAX), 'full')
      stepOf(await revocations.change({ id: 'a:0', text: 'y' }, 0, MAX))
      stepOf(await revocations.change({ id: 'a:1' }, 0, MAX))
      stepOf(await revocations.change({ id: 'a:9', text: 'x' }, 0, MAX))
      assert.deepEqual(await entriesOf(revocations), { 'a:0': 'y', 'a:2': 'x', 'a:9': 'x' })
    })

    test('that were lost are restored; existing ones stay unchanged', async () => {
      await using under = await open()
      const { revocations } = under.store
      const { version } = stepOf(await revocations.change({ id: 'a:1', text: 'new' }, 0, MAX))
      const known = version + 1_000_000_000
      assert.equal(await revocations.change({ id: 'a:2', text: 'x' }, known, MAX), 'behind')
      const lost = new Map([
        ['a:1', 'old'],
        ['a:3', 'lost'],
      ])
      await revocations.restore(lost, known)
      const snapshot = await revocations.read(known)
      assert.ok((snapshot?.version ?? 0) > known)
      assert.equal(snapshot?.restored, snapshot?.version)
      assert.deepEqual(await entriesOf(revocations), { 'a:1': 'new', 'a:3': 'lost' })
      // Another node, which has seen that, has something more.
      await revocations.restore(new Map([['a:4', 'lost too']]), known)
      const next = await under.other.revocations.read(known)
      assert.equal(next?.restored, snapshot?.restored)
      assert.ok((next?.version ?? 0) > (snapshot?.version ?? 0))
      assert.equal(next?.entries.get('a:4'), 'lost too')
    })
  })
}
