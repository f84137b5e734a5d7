import assert from 'node:assert/strict'
import { filtersOf, listed, type OpenStore, type Suite } from './store-under-test.ts'

/** Filters that mean something elsewhere: to objects, to Redis as a glob, to a file system, to Unicode. */
const ODD_FILTERS: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  '+',
  '#',
  '/',
  '//',
  '/#',
  '+/+/#',
  '$SYS/#',
  'dev[1]/+',
  'back\\slash/+',
  '*',
  'a?c',
  '{}',
  'a:b',
  ' ',
  '😀/🌊',
  'é',
  '0',
  'x'.repeat(65_535),
]

const MANY = 1_200

export function subscriptionCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('subscriptions in the store', () => {
    test('are stored with the session and visible at every node', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [
        { filter: 'x', qos: 0 },
        { filter: 'y/+', qos: 1 },
        { filter: 'z/#', qos: 2 },
      ])
      const expected = ['x 0', 'y/+ 1', 'z/# 2']
      assert.deepEqual(listed({ subscriptions: await under.other.subscriptions('a') }), expected)
      assert.deepEqual(listed(await under.other.openSession('a', true)), expected)
    })

    test('replace the same filter and leave the others', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [
        { filter: 'x', qos: 0 },
        { filter: 'y', qos: 2 },
      ])
      await under.store.addSubscriptions('a', [{ filter: 'x', qos: 1 }])
      assert.deepEqual(listed(await under.store.openSession('a', true)), ['x 1', 'y 2'])
    })

    test('of one call that names a filter twice keep the last', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [
        { filter: 'x', qos: 2 },
        { filter: 'x', qos: 0 },
      ])
      assert.deepEqual(listed(await under.store.openSession('a', true)), ['x 0'])
    })

    test('are removed one by one; removing a missing filter has no effect', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [
        { filter: 'x', qos: 1 },
        { filter: 'y', qos: 1 },
      ])
      await under.store.removeSubscriptions('a', ['x', 'never there'])
      assert.deepEqual(listed(await under.store.openSession('a', true)), ['y 1'])
      await under.store.removeSubscriptions('a', ['y'])
      const opened = await under.store.openSession('a', true)
      assert.deepEqual(listed(opened), [])
      assert.equal(opened.present, true)
    })

    test('do not change with an empty list', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions('a', [])
      await under.store.removeSubscriptions('a', [])
      assert.deepEqual(await under.store.subscriptions('a'), [])
    })

    test('of an ended session are not stored', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.endSession('a')
      await under.store.addSubscriptions('a', [{ filter: 'x', qos: 1 }])
      assert.deepEqual(await under.store.subscriptions('a'), [])
      assert.equal((await filtersOf(under.store)).size, 0)
      await under.store.removeSubscriptions('a', ['x'])
      assert.equal((await under.store.openSession('a', true)).present, false)
    })

    test('may have any filter text', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      await under.store.addSubscriptions(
        'a',
        ODD_FILTERS.map((filter) => ({ filter, qos: 1 })),
      )
      const expected = ODD_FILTERS.map((filter) => `${filter} 1`).toSorted()
      assert.deepEqual(listed(await under.other.openSession('a', true)), expected)
      await under.store.removeSubscriptions('a', ODD_FILTERS)
      assert.deepEqual(await under.store.subscriptions('a'), [])
    })

    test('may be many in one call', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const filters = Array.from({ length: 10_000 }, (_, index) => `f/${index}/#`)
      await under.store.addSubscriptions(
        'a',
        filters.map((filter) => ({ filter, qos: 2 })),
      )
      assert.equal((await under.store.subscriptions('a')).length, 10_000)
      await under.store.removeSubscriptions('a', filters.slice(1))
      assert.deepEqual(listed(await under.store.openSession('a', true)), ['f/0/# 2'])
    })
  })

  describe('the filters of all sessions', () => {
    test('are the filters of sessions with subscriptions', async () => {
      await using under = await open()
      for (const clientId of ['a', 'b', 'none', 'ended', 'emptied'])
        await under.store.openSession(clientId, true)
      for (const clientId of ['a', 'b', 'ended', 'emptied'])
        await under.store.addSubscriptions(clientId, [{ filter: `${clientId}/#`, qos: 1 }])
      await under.store.endSession('ended')
      await under.store.removeSubscriptions('emptied', ['emptied/#'])
      const found = await filtersOf(under.other)
      assert.deepEqual([...found.keys()].toSorted(), ['a', 'b'])
      assert.deepEqual([...found.values()].flatMap(listed).toSorted(), ['a/# 1', 'b/# 1'])
    })

    test('can be queried one by one: filters of one session, and none of other sessions', async () => {
      await using under = await open()
      for (const clientId of ['a', 'b']) await under.store.openSession(clientId, true)
      await under.store.addSubscriptions('a', [
        { filter: 'x', qos: 0 },
        { filter: '__proto__', qos: 2 },
        { filter: 'not asked for', qos: 1 },
      ])
      const found = await under.other.filtersAmong([
        { clientId: 'a', filters: ['__proto__', 'x', 'never there'] },
        { clientId: 'b', filters: ['x'] },
        { clientId: 'nobody', filters: ['x', 'y'] },
      ])
      assert.deepEqual(
        found.map(({ clientId }) => clientId),
        ['a', 'b', 'nobody'],
      )
      assert.deepEqual(found.map(listed), [['__proto__ 2', 'x 0'], [], []])
      assert.deepEqual(await under.other.filtersAmong([]), [])
    })

    test('are complete, for any number', async () => {
      await using under = await open()
      const clientIds = Array.from({ length: MANY }, (_, index) => `c${index}`)
      await Promise.all(
        clientIds.map(async (clientId) => {
          await under.store.openSession(clientId, true)
          await under.store.addSubscriptions(clientId, [{ filter: clientId, qos: 1 }])
        }),
      )
      const found = await filtersOf(under.store)
      assert.deepEqual([...found.values()].flatMap(listed).length, MANY)
      assert.deepEqual([...found.keys()].toSorted(), clientIds.toSorted())
    })

    test('still include a session that loses its last filter while getting another', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      for (let round = 0; round < 200; round += 1) {
        await under.store.addSubscriptions('a', [{ filter: 'last', qos: 1 }])
        await Promise.all([
          under.store.removeSubscriptions('a', ['last']),
          under.other.addSubscriptions('a', [{ filter: 'another', qos: 1 }]),
        ])
        const [found] = await under.store.filtersOf(['a'])
        assert.deepEqual(found && listed(found), ['another 1'], `round ${round}`)
        // A look at all sessions costs a thousand times as much.
        if (round % 20 === 0) assert.ok((await filtersOf(under.store)).has('a'), `round ${round}`)
        await under.store.removeSubscriptions('a', ['another'])
      }
    })
  })
}
