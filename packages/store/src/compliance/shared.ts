import assert from 'node:assert/strict'
import { queuedBytes, type Store } from '../store.ts'
import type { SharedMemberId, SharedRead } from '../shared-queues.ts'
import { append, called, message, type OpenRaw, type Suite } from './store-under-test.ts'

const FILTER = '$share/g/t/{}/+'
const BYTES = 1_000_000

function join(store: Store, member: SharedMemberId): Promise<void> {
  return called((done) => store.shared.join(FILTER, member, done))
}

function leave(store: Store, member: SharedMemberId): Promise<void> {
  return called((done) => store.shared.leave(FILTER, member, done))
}

/** Returns its position. */
async function enqueue(store: Store, node: string, payload: string, hash = 0): Promise<number> {
  const appended = await append(store, {
    message: message('t', payload),
    queues: [],
    shared: [{ filter: FILTER, node, hash, qos: 1 }],
  })
  assert.deepEqual(appended.positions, [])
  return appended.shared?.[0] ?? -1
}

function read(store: Store, node: string, from = 0, messagesMax = 100): Promise<SharedRead> {
  return store.shared.read(FILTER, node, from, messagesMax, BYTES)
}

async function payloadsOf(store: Store, node: string): Promise<string[]> {
  return (await read(store, node)).found.map(({ message: { payload } }) => payload.toString())
}

async function claimAll(store: Store, node: string): Promise<void> {
  let from = 0
  do from = await store.shared.claim(FILTER, node, from)
  while (from > 0)
}

export function sharedCompliance({ describe, test }: Suite, open: OpenRaw): void {
  describe('the queue of a shared subscription', () => {
    test('gives each node the messages assigned to it, with their hash, in order', async () => {
      await using under = await open()
      const { store, other } = under
      await join(store, 'na')
      await join(other, 'nb')
      const positions: number[] = []
      for (const [index, node] of ['a', 'b', 'a'].entries())
        positions.push(await enqueue(store, node, String(index), 2 ** 32 - 1 - index))
      assert.deepEqual(
        positions.map((position) => position - (positions[0] ?? 0)),
        [0, 1, 2],
      )
      const { found, more, next } = await read(other, 'a')
      assert.deepEqual(
        found.map(({ position, hash, message: { payload, qos } }) => [
          position,
          hash,
          payload.toString(),
          qos,
        ]),
        [
          [positions[0], 2 ** 32 - 1, '0', 1],
          [positions[2], 2 ** 32 - 3, '2', 1],
        ],
      )
      if (!more) assert.equal(next, (positions[2] ?? 0) + 1)
      assert.deepEqual(await payloadsOf(other, 'b'), ['1'])
    })

    test('is read on from the end of the last read, for reads of any size', async () => {
      await using under = await open()
      const { store } = under
      await join(store, 'na')
      await join(store, 'nb')
      for (let index = 0; index < 50; index += 1)
        await enqueue(store, index % 2 === 0 ? 'a' : 'b', String(index))
      const payloads: string[] = []
      let from = 0
      let more = true
      while (more) {
        const part = await read(store, 'a', from, 3)
        assert.ok(part.found.length <= 3)
        payloads.push(...part.found.map((entry) => entry.message.payload.toString()))
        ;({ next: from, more } = part)
      }
      const expected = Array.from({ length: 25 }, (_, index) => String(index * 2))
      assert.deepEqual(payloads, expected)
      const last = await enqueue(store, 'a', 'later')
      const { found } = await read(store, 'a', from)
      assert.deepEqual(
        found.map(({ position }) => position),
        [last],
      )
    })

    test('removes a message that a member has finished', async () => {
      await using under = await open()
      const { store, other } = under
      await join(store, 'na')
      const position = await enqueue(store, 'a', 'one')
      await enqueue(store, 'a', 'two')
      const bytes = queuedBytes(message('t', 'one'))
      await called((done) => store.shared.settle(FILTER, position, bytes, done))
      await called((done) => store.shared.settle(FILTER, position, bytes, done))
      assert.deepEqual(await payloadsOf(other, 'a'), ['two'])
    })

    test('exists while it has members: nothing is appended without members', async () => {
      await using under = await open()
      const { store, other } = under
      assert.equal(await enqueue(store, 'a', 'before'), 0)
      await join(store, 'na')
      await join(other, 'cclient')
      const first = await enqueue(store, 'a', 'kept')
      await leave(store, 'na')
      assert.equal(await enqueue(other, '', 'too'), first + 1)
      await leave(other, 'cclient')
      assert.equal(await enqueue(store, 'a', 'after'), 0)
      await join(store, 'na')
      assert.deepEqual(await payloadsOf(store, 'a'), [])
      // A late call about an earlier position has no effect.
      assert.ok((await enqueue(store, 'a', 'again')) > first + 1)
    })

    test('keeps a message for any node if it is assigned to a node without members', async () => {
      await using under = await open()
      const { store, other } = under
      await join(store, 'na')
      await join(other, 'nb')
      await enqueue(store, 'b', 'left')
      await enqueue(store, 'a', 'mine')
      await leave(other, 'nb')
      await enqueue(store, 'b', 'stranger')
      await enqueue(store, '', 'nobody')
      assert.deepEqual(await payloadsOf(store, 'a'), ['mine'])
      await claimAll(other, 'b')
      assert.deepEqual(await payloadsOf(other, 'b'), ['left'])
      await claimAll(store, 'a')
      assert.deepEqual(await payloadsOf(store, 'a'), ['mine', 'left', 'stranger', 'nobody'])
      await join(other, 'nb')
      await claimAll(other, 'b')
      assert.deepEqual(await payloadsOf(other, 'b'), [])
    })

    test('gives to any node only the messages that a node hands on', async () => {
      await using under = await open()
      const { store, other } = under
      await join(store, 'na')
      await join(other, 'nb')
      const positions: number[] = []
      for (const payload of ['1', '2', '3']) positions.push(await enqueue(store, 'a', payload))
      const [first = 0, , third = 0] = positions
      await called((done) => store.shared.handOn(FILTER, [first, third, third + 100], done))
      assert.deepEqual(await payloadsOf(store, 'a'), ['2'])
      await claimAll(other, 'b')
      assert.deepEqual(await payloadsOf(other, 'b'), ['1', '3'])
    })

    test('is bounded like the queue of a session', async () => {
      await using under = await open({ queueMessagesMax: 3 })
      const { store } = under
      await join(store, 'na')
      for (const payload of ['1', '2', '3', '4', '5']) await enqueue(store, 'a', payload)
      assert.deepEqual(await payloadsOf(store, 'a'), ['3', '4', '5'])
      const appended = await append(store, {
        message: message('t', '6'),
        queues: [],
        shared: [{ filter: FILTER, node: 'a', hash: 0, qos: 1 }],
      })
      assert.equal(appended.dropped, 1)
    })

    test('counts messages right that are appended and handed on in one turn', async () => {
      await using under = await open({ queueMessagesMax: 3 })
      const { store } = under
      await join(store, 'na')
      const first = await enqueue(store, 'a', '1')
      const [second, , fourth] = await Promise.all([
        enqueue(store, 'a', '2'),
        called((done) => store.shared.handOn(FILTER, [first], done)),
        enqueue(store, 'a', '3'),
      ])
      assert.deepEqual([second - first, fourth - first], [1, 3])
      assert.deepEqual(await payloadsOf(store, ''), ['1'])
      await enqueue(store, 'a', '4')
      assert.deepEqual(await payloadsOf(store, 'a'), ['3', '4'])
    })

    test('is a new queue when its last member leaves and comes back in one turn', async () => {
      await using under = await open({ queueMessagesMax: 2 })
      const { store } = under
      await join(store, 'na')
      const [first, , none, , again] = await Promise.all([
        enqueue(store, 'a', '1'),
        leave(store, 'na'),
        enqueue(store, 'a', '2'),
        join(store, 'na'),
        enqueue(store, 'a', '3'),
      ])
      assert.equal(none, 0)
      assert.ok(again > first)
      await enqueue(store, 'a', '4')
      assert.deepEqual(await payloadsOf(store, 'a'), ['3', '4'])
      await Promise.all([enqueue(store, 'a', '5'), leave(store, 'na')])
      assert.equal(await enqueue(store, 'a', '6'), 0)
    })

    test('gets its message together with session queues, each with its own position', async () => {
      await using under = await open()
      const { store } = under
      const claim = { clientId: 's', nodeId: 'a', user: '', persistent: true }
      const claimed = await store.claimClient(claim)
      await join(store, 'na')
      const appended = await append(store, {
        message: message('t', 'm', { qos: 2, retain: true }),
        queues: [
          { clientId: 'nobody', qos: 2 },
          { clientId: 's', qos: 1 },
        ],
        shared: [
          { filter: '$share/none/t', node: 'a', hash: 0, qos: 2 },
          { filter: FILTER, node: 'a', hash: 0, qos: 2 },
        ],
      })
      assert.deepEqual(appended.positions, [0, 1])
      assert.ok(typeof claimed === 'object')
      assert.deepEqual(appended.epochs, [0, claimed.epoch])
      const [none, position] = appended.shared ?? []
      assert.equal(none, 0)
      const { found } = await read(store, 'a')
      assert.deepEqual(
        found.map((entry) => [entry.position, entry.message.qos]),
        [[position, 2]],
      )
    })
  })
}
