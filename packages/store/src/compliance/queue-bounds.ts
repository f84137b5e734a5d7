import assert from 'node:assert/strict'
import { packetIdOf, QUEUE_FULL, QueueFullError, type QueuePolicy } from '../store.ts'
import type { OwnedStore } from './owned-store.ts'
import {
  append,
  called,
  enqueue,
  message,
  queueOf,
  readAll,
  retainedOf,
  written,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

export function queueBoundsCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('a full queue', () => {
    test('drops its oldest messages by number, and reports how many', async () => {
      await using under = await open({ queueMessagesMax: 3 })
      await under.store.openSession('a', true)
      const dropped = await fill(under.store, 'a', 5, 1)
      assert.deepEqual(dropped, [0, 0, 0, 1, 1])
      assert.deepEqual(await positionsOf(under.store, 'a'), [3, 4, 5])
      assert.equal(await enqueue(under.store, 'a', 'next'), 6)
    })

    test('drops its oldest messages by bytes, and reports how many', async () => {
      await using under = await open({ queueBytesMax: 4_096 })
      await under.store.openSession('a', true)
      const dropped = await fill(under.store, 'a', 10, 1_000)
      const left = await positionsOf(under.store, 'a')
      assert.deepEqual(left, [7, 8, 9, 10])
      assert.equal(sum(dropped), 6)
    })

    test('makes room for a large message by dropping several small ones', async () => {
      await using under = await open({ queueBytesMax: 4_096 })
      await under.store.openSession('a', true)
      await fill(under.store, 'a', 8, 450)
      const [dropped] = await fill(under.store, 'a', 1, 2_800)
      assert.deepEqual(await positionsOf(under.store, 'a'), [7, 8, 9])
      assert.equal(dropped, 6)
    })

    test('keeps a single message that is too large for the queue', async () => {
      await using under = await open({ queueBytesMax: 1_024 })
      await under.store.openSession('a', true)
      await fill(under.store, 'a', 2, 100)
      const [dropped] = await fill(under.store, 'a', 1, 10_000)
      assert.deepEqual(await positionsOf(under.store, 'a'), [3])
      assert.equal(dropped, 2)
      const [after] = await fill(under.store, 'a', 1, 100)
      assert.deepEqual(await positionsOf(under.store, 'a'), [4])
      assert.equal(after, 1)
    })

    test('counts the dropped messages of all sessions of one publish', async () => {
      await using under = await open({ queueMessagesMax: 2 })
      for (const clientId of ['full', 'also full', 'empty'])
        await under.store.openSession(clientId, true)
      await fill(under.store, 'full', 2, 1)
      await fill(under.store, 'also full', 2, 1)
      const { positions, dropped } = await append(under.store, {
        message: message('t'),
        queues: ['full', 'also full', 'gone', 'empty'].map((clientId) => ({ clientId, qos: 1 })),
      })
      assert.deepEqual(positions, [3, 3, 0, 1])
      assert.equal(dropped, 2)
    })

    test('has room again after acknowledgements, by number and by bytes', async () => {
      await using under = await open({ queueMessagesMax: 4, queueBytesMax: 4_096 })
      await under.store.openSession('a', true)
      await fill(under.store, 'a', 3, 1_000)
      under.store.settle('a', 2)
      under.store.release('a', 3, 3, () => undefined)
      // Of what is gone already, no bytes are given back twice.
      under.store.settle('a', 2)
      under.store.release('a', 3, 3, () => undefined)
      await written(under.store)
      assert.equal(sum(await fill(under.store, 'a', 3, 1_000)), 0)
      assert.deepEqual(await positionsOf(under.store, 'a'), [1, 4, 5, 6])
      assert.equal(sum(await fill(under.store, 'a', 1, 1_000)), 1)
    })

    test('keeps its counts right when a dropped message is acknowledged later', async () => {
      await using under = await open({ queueMessagesMax: 2, queueBytesMax: 2_500 })
      await under.store.openSession('a', true)
      for (let round = 0; round < 50; round += 1) {
        await fill(under.store, 'a', 3, 1_000)
        for (const position of [1, 2, 3]) under.store.settle('a', round * 3 + position)
      }
      await written(under.store)
      assert.deepEqual(await queueOf(under.store, 'a'), [])
      assert.equal(sum(await fill(under.store, 'a', 2, 1_000)), 0)
    })

    test('gives the same positions and drops to appenders at two nodes', async () => {
      await using under = await open({ queueMessagesMax: 100 })
      await under.store.openSession('a', true)
      const dropped = await Promise.all([
        fill(under.store, 'a', 150, 1),
        fill(under.other, 'a', 150, 1),
      ])
      assert.equal(sum(dropped.flat()), 200)
      assert.deepEqual(
        await positionsOf(under.store, 'a'),
        Array.from({ length: 100 }, (_, index) => index + 201),
      )
    })
  })

  describe('a full queue with the policy drop-newest', () => {
    const queuePolicy: QueuePolicy = 'drop-newest'

    test('keeps its messages, by number and by bytes, and counts the dropped ones', async () => {
      await using under = await open({ queueMessagesMax: 2, queueBytesMax: 2_500, queuePolicy })
      const { store } = under
      await store.openSession('a', true)
      const put = async (bytes: number): Promise<unknown> => {
        const { positions, dropped } = await append(store, {
          message: message('t', Buffer.alloc(bytes)),
          queues: [{ clientId: 'a', qos: 1 }],
        })
        return [positions[0], dropped]
      }
      assert.deepEqual(await put(10_000), [1, 0])
      assert.deepEqual(await put(1), [QUEUE_FULL, 1])
      store.settle('a', 1)
      await written(store)
      assert.deepEqual(await put(1), [2, 0])
      assert.deepEqual(await put(1), [3, 0])
      assert.deepEqual(await put(1), [QUEUE_FULL, 1])
    })

    test('is distinguished from an ended session, and takes no message from other sessions', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      for (const clientId of ['full', 'empty']) await under.store.openSession(clientId, true)
      await enqueue(under.store, 'full', 'kept')
      const { positions, dropped } = await append(under.store, {
        message: message('t', 'new'),
        queues: ['gone', 'full', 'empty'].map((clientId) => ({ clientId, qos: 1 })),
      })
      assert.deepEqual([positions, dropped], [[0, QUEUE_FULL, 1], 1])
      assert.deepEqual(await queueOf(under.store, 'full'), ['1 kept'])
      assert.deepEqual(await queueOf(under.store, 'empty'), ['1 new'])
    })

    test('drops replayed retained messages as well', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      await replayIntoFull(under.store)
    })
  })

  describe('a full queue with the policy close-publisher', () => {
    const queuePolicy: QueuePolicy = 'close-publisher'

    test('refuses the whole publish: no queue, no retained message and no QoS 2 release', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      const { store } = under
      for (const clientId of ['before', 'full', 'behind', 'publisher'])
        await store.openSession(clientId, true)
      await enqueue(store, 'full', 'kept')
      const refused = message('t', 'refused', { qos: 2, retain: true })
      const packetId = packetIdOf(1)
      await new Promise<void>((resolve) =>
        store.storeInbound('publisher', packetId, refused, () => resolve()),
      )
      const effects = {
        message: refused,
        queues: [
          { clientId: 'before', qos: 2 as const },
          { clientId: 'gone', qos: 1 as const },
          { clientId: 'full', qos: 1 as const },
          { clientId: 'behind', qos: 2 as const },
        ],
        inbound: { clientId: 'publisher', packetId },
      }
      await assert.rejects(append(store, effects), QueueFullError)
      assert.deepEqual(await queueOf(store, 'full'), ['1 kept'])
      for (const clientId of ['before', 'behind'])
        assert.deepEqual(await queueOf(store, clientId), [])
      assert.deepEqual(await retainedOf(store, ['t']), [])
      assert.notEqual(await store.readInbound('publisher', packetId), undefined)

      store.settle('full', 1)
      await written(store)
      const { positions, dropped } = await append(store, effects)
      assert.deepEqual([positions, dropped], [[1, 0, 2, 1], 0])
      assert.equal((await retainedOf(store, ['t'])).length, 1)
      assert.equal(await store.readInbound('publisher', packetId), undefined)
    })

    test('refuses a publish also when the queue of a shared subscription is full', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      const { store } = under.store
      const filter = '$share/g/t'
      await called((done) => store.shared.join(filter, 'na', done))
      const shared = [{ filter, node: 'a', hash: 0, qos: 1 as const }]
      const effects = { message: message('t', 'm'), queues: [], shared }
      await append(store, effects)
      await assert.rejects(append(store, effects), QueueFullError)
    })

    test('refuses by bytes, and accepts one message that is too large when it is empty', async () => {
      await using under = await open({ queueBytesMax: 1_024, queuePolicy })
      const { store } = under
      await store.openSession('a', true)
      await enqueue(store, 'a', Buffer.alloc(10_000))
      await assert.rejects(enqueue(store, 'a', 'x'), QueueFullError)
      store.settle('a', 1)
      await written(store)
      assert.equal(await enqueue(store, 'a', Buffer.alloc(500)), 2)
      await assert.rejects(enqueue(store, 'a', Buffer.alloc(1_000)), QueueFullError)
      assert.equal(await enqueue(store, 'a', Buffer.alloc(300)), 3)
    })

    test('refuses each publish of a turn separately, in the order of the calls', async () => {
      await using under = await open({ queueMessagesMax: 3, queuePolicy })
      const { store } = under
      for (const clientId of ['a', 'b']) await store.openSession(clientId, true)
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) =>
          enqueue(store, index % 2 === 0 ? 'a' : 'b', `${index}`),
        ),
      )
      assert.deepEqual(
        outcomes.map(({ status }) => status === 'fulfilled'),
        [true, true, true, true, true, true, false, false, false, false],
      )
      assert.deepEqual(await queueOf(store, 'a'), ['1 0', '2 2', '3 4'])
    })

    test('refuses the later steps of a fan-out, with the QoS 2 release', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      const { store } = under
      const clientIds = Array.from({ length: 1_200 }, (_, index) => `c${index}`)
      await Promise.all(clientIds.map((clientId) => store.openSession(clientId, true)))
      await enqueue(store, 'c700', 'kept')
      const sent = message('t', 'm', { qos: 2 })
      await new Promise<void>((resolve) => store.storeInbound('c0', 7, sent, () => resolve()))
      const queues = clientIds.map((clientId) => ({ clientId, qos: 1 as const }))
      const effects = { message: sent, queues, inbound: { clientId: 'c0', packetId: 7 } }
      await assert.rejects(append(store, effects), QueueFullError)
      for (const clientId of ['c500', 'c699', 'c701', 'c1000', 'c1199'])
        assert.deepEqual(await queueOf(store, clientId), [], clientId)
      assert.notEqual(await store.readInbound('c0', 7), undefined)
      // The next one is another message.
      assert.equal(await enqueue(store, 'c1199', 'next'), 1)
    })

    test('drops replayed retained messages, which have no publisher to close', async () => {
      await using under = await open({ queueMessagesMax: 1, queuePolicy })
      await replayIntoFull(under.store)
    })
  })

  async function replayIntoFull(store: OwnedStore): Promise<void> {
    await store.openSession('a', true)
    const retained = message('t', 'retained', { retain: true })
    await append(store, { message: retained, queues: [] })
    await enqueue(store, 'a', 'kept')
    const queues = [{ clientId: 'a', qos: 1 as const }]
    const { positions, dropped } = await append(store, { message: retained, queues, replay: true })
    assert.deepEqual([positions, dropped], [[QUEUE_FULL], 1])
    assert.deepEqual(await queueOf(store, 'a'), ['1 kept'])
  }

  async function fill(
    store: OwnedStore,
    clientId: string,
    count: number,
    bytes: number,
  ): Promise<number[]> {
    const appended = await Promise.all(
      Array.from({ length: count }, () =>
        append(store, {
          message: message('t', Buffer.alloc(bytes)),
          queues: [{ clientId, qos: 1 }],
        }),
      ),
    )
    return appended.map(({ dropped }) => dropped)
  }

  async function positionsOf(store: OwnedStore, clientId: string): Promise<number[]> {
    return (await readAll(store, clientId)).map(({ position }) => position)
  }

  function sum(counts: readonly number[]): number {
    return counts.reduce((total, count) => total + count, 0)
  }
}
