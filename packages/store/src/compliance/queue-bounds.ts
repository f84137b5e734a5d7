import assert from 'node:assert/strict'
import type { OwnedStore } from './owned-store.ts'
import {
  append,
  enqueue,
  message,
  queueOf,
  readAll,
  written,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

export function queueBoundsCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('a full queue', () => {
    test('drops its oldest messages by number, and says how many', async () => {
      await using under = await open({ queueMessagesMax: 3 })
      await under.store.openSession('a', true)
      const dropped = await fill(under.store, 'a', 5, 1)
      assert.deepEqual(dropped, [0, 0, 0, 1, 1])
      assert.deepEqual(await positionsOf(under.store, 'a'), [3, 4, 5])
      assert.equal(await enqueue(under.store, 'a', 'next'), 6)
    })

    test('drops its oldest messages by bytes, and says how many', async () => {
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

    test('keeps one message that is too large for it, alone', async () => {
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

    test('counts the drops of all sessions of one message', async () => {
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

    test('has room again for what was acknowledged, by number and by bytes', async () => {
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

    test('forgets nothing of its account when it drops what is settled later', async () => {
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
