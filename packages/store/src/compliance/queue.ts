import assert from 'node:assert/strict'
import { Message } from '@breakwater/bus'
import type { OwnedStore } from './owned-store.ts'
import {
  append,
  enqueue,
  message,
  queueOf,
  readAll,
  retainedOf,
  written,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

/** More than any implementation writes in one step. */
const MANY = 2_500

export function queueCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('a session queue', () => {
    test('numbers its messages from 1 without gaps, independently of other sessions', async () => {
      await using under = await open()
      await openAll(under.store, ['a', 'b'])
      for (let position = 1; position <= 5; position += 1)
        assert.equal(await enqueue(under.store, 'a', `${position}`), position)
      assert.equal(await enqueue(under.store, 'b', 'first'), 1)
      assert.deepEqual(await queueOf(under.store, 'a'), ['1 1', '2 2', '3 3', '4 4', '5 5'])
    })

    test('returns the appended messages, with the granted QoS and without the retain flag', async () => {
      await using under = await open()
      await openAll(under.store, ['one', 'two'])
      const payload = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
      await append(under.store, {
        message: message('tøpic/😀', payload, { qos: 2, retain: true }),
        queues: [
          { clientId: 'one', qos: 1 },
          { clientId: 'two', qos: 2 },
        ],
      })
      for (const [clientId, qos] of [
        ['one', 1],
        ['two', 2],
      ] as const) {
        const [queued] = await readAll(under.other, clientId)
        assert.equal(queued?.message.topic, 'tøpic/😀')
        assert.deepEqual(Buffer.from(queued.message.payload), payload)
        assert.equal(queued.message.qos, qos)
        assert.equal(queued.message.retain, false)
      }
    })

    test('keeps the properties and the expiry of a message, with any granted QoS', async () => {
      await using under = await open()
      await openAll(under.store, ['one', 'two'])
      const properties = Buffer.from([0x01, 1])
      const sent = new Message('t', Buffer.from('m'), 2, false, undefined, properties, 2 ** 48 - 1)
      const queues = [
        { clientId: 'one', qos: 1 as const },
        { clientId: 'two', qos: 2 as const },
      ]
      await append(under.store, { message: sent, queues })
      for (const { clientId } of queues) {
        const [queued] = await readAll(under.other, clientId)
        assert.deepEqual(
          queued?.message.properties && Buffer.from(queued.message.properties),
          properties,
        )
        assert.equal(queued?.message.expiresAt, sent.expiresAt)
      }
    })

    test('keeps a payload whose buffer is reused, an empty payload and a large payload', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      const shared = Buffer.from('before')
      await append(under.store, {
        message: message('t', shared),
        queues: [{ clientId: 'a', qos: 1 }],
      })
      shared.fill('x')
      await enqueue(under.store, 'a', '')
      const large = Buffer.alloc(1_048_576, 'large')
      await enqueue(under.store, 'a', large)
      const found = await readAll(under.store, 'a')
      assert.deepEqual(
        found.map(({ message: { payload } }) => payload.toString()),
        ['before', '', large.toString()],
      )
    })

    test('keeps the order of calls and of callbacks, for any number in one turn', async () => {
      await using under = await open()
      await openAll(under.store, ['a', 'b'])
      const order: number[] = []
      const appends = Array.from({ length: MANY }, (_, index) =>
        append(under.store, {
          message: message('t', `${index}`),
          queues: [{ clientId: index % 10 === 0 ? 'b' : 'a', qos: 1 }],
        }).then(() => order.push(index)),
      )
      await Promise.all(appends)
      assert.deepEqual(order, [...order.keys()])
      const payloads = (await readAll(under.store, 'a')).map(({ message: { payload } }) =>
        Number(payload.toString()),
      )
      assert.equal(payloads.length, MANY * 0.9)
      assert.deepEqual(
        payloads,
        payloads.toSorted((a, b) => a - b),
      )
    })

    test('keeps the order of each appending node, and assigns no position twice', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      const positions = await Promise.all(
        [under.store, under.other].flatMap((store, appender) =>
          Array.from({ length: 500 }, (_, index) => enqueue(store, 'a', `${appender} ${index}`)),
        ),
      )
      assert.deepEqual(
        positions.toSorted((a, b) => a - b),
        Array.from({ length: 1_000 }, (_, index) => index + 1),
      )
      const payloads = (await readAll(under.store, 'a')).map(({ message: { payload } }) =>
        payload.toString(),
      )
      for (const appender of ['0', '1'])
        assert.deepEqual(
          payloads.filter((payload) => payload.startsWith(appender)),
          Array.from({ length: 500 }, (_, index) => `${appender} ${index}`),
        )
    })

    test('accepts one message for many sessions, and returns 0 for missing sessions', async () => {
      await using under = await open()
      await openAll(under.store, ['a', 'c'])
      await enqueue(under.store, 'c', 'earlier')
      const { positions, dropped } = await append(under.store, {
        message: message('t', 'm'),
        queues: ['a', 'b', 'c'].map((clientId) => ({ clientId, qos: 1 })),
      })
      assert.deepEqual(positions, [1, 0, 2])
      assert.equal(dropped, 0)
      assert.deepEqual(await queueOf(under.store, 'b'), [])
    })

    test('calls back for a message that changes nothing', async () => {
      await using under = await open()
      assert.deepEqual(await append(under.store, { message: message('t'), queues: [] }), {
        positions: [],
        dropped: 0,
        retainedChanged: false,
      })
    })
  })

  describe('a retained message that is replayed into a queue', () => {
    const retained = message('t', 'm', { qos: 2, retain: true })
    const queues = [{ clientId: 'a', qos: 1 as const }]

    test('keeps its flag, gets the granted QoS, and stays retained as it was', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      await append(under.store, { message: retained, queues: [] })
      const { positions } = await append(under.store, { message: retained, queues, replay: true })
      assert.deepEqual(positions, [1])
      const [queued] = await readAll(under.other, 'a')
      assert.deepEqual(
        [queued?.message.retain, queued?.message.qos, queued?.message.payload.toString()],
        [true, 1, 'm'],
      )
      assert.equal((await retainedOf(under.store, ['t']))[0]?.qos, 2)
    })

    test('is skipped if it was replaced or cleared meanwhile', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      await append(under.store, { message: retained, queues: [] })
      await append(under.other, {
        message: message('t', 'newer', { qos: 2, retain: true }),
        queues,
      })
      await append(under.store, { message: retained, queues, replay: true })
      assert.deepEqual(await queueOf(under.store, 'a'), ['1 newer', '2 newer'])
      await append(under.other, { message: message('t', '', { retain: true }), queues: [] })
      const { positions } = await append(under.store, { message: retained, queues, replay: true })
      assert.deepEqual(positions, [0])
      assert.equal((await queueOf(under.store, 'a')).length, 2)
    })

    test('is bounded and counted like any other, and is discarded when the session has ended', async () => {
      await using under = await open({ queueMessagesMax: 1 })
      await openAll(under.store, ['a'])
      await append(under.store, { message: retained, queues: [] })
      await enqueue(under.store, 'a', 'older')
      const { positions, dropped } = await append(under.store, {
        message: retained,
        queues: [...queues, { clientId: 'gone', qos: 1 }],
        replay: true,
      })
      assert.deepEqual({ positions, dropped }, { positions: [2, 0], dropped: 1 })
    })
  })

  describe('reading a session queue', () => {
    test('starts at a position and ends at the bound of messages', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 1; index <= 50; index += 1) await enqueue(under.store, 'a', `${index}`)
      const positions = async (from: number, max: number): Promise<number[]> =>
        (await under.store.readQueue('a', from, max, 1_000_000)).map(({ position }) => position)
      assert.deepEqual(await positions(1, 3), [1, 2, 3])
      assert.deepEqual(await positions(4, 3), [4, 5, 6])
      assert.deepEqual(await positions(20, 1), [20])
      assert.deepEqual(await positions(49, 100), [49, 50])
      assert.deepEqual(await positions(51, 100), [])
      assert.equal((await positions(1, 1_000)).length, 50)
    })

    test('ends at the bound of bytes, with one message at least', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 0; index < 30; index += 1)
        await enqueue(under.store, 'a', Buffer.alloc(10_000))
      const count = async (bytesMax: number): Promise<number> =>
        (await under.store.readQueue('a', 1, 1_000, bytesMax)).length
      assert.equal(await count(1), 1)
      assert.equal(await count(15_000), 1)
      assert.equal(await count(25_000), 2)
      assert.equal(await count(255_000), 25)
      assert.equal(await count(1_000_000), 30)
    })

    test('of a missing session returns no message', async () => {
      await using under = await open()
      assert.deepEqual(await readAll(under.store, 'a'), [])
    })

    test('marks messages as sent, up to the last message that was read', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 1; index <= 5; index += 1) await enqueue(under.store, 'a', `${index}`)
      await under.store.readQueue('a', 1, 3, 1_000)
      assert.equal((await under.other.openSession('a', true)).sentPosition, 3)
      await under.store.readQueue('a', 1, 2, 1_000)
      assert.equal((await under.other.openSession('a', true)).sentPosition, 3)
      await under.store.readQueue('a', 4, 100, 1_000)
      assert.equal((await under.other.openSession('a', true)).sentPosition, 5)
    })

    test('is not needed to mark messages as sent: a position can be recorded, and never goes back', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 1; index <= 5; index += 1) await enqueue(under.store, 'a', `${index}`)
      under.store.recordSent('a', 4)
      under.store.recordSent('a', 2)
      await written(under.store)
      assert.equal((await under.other.openSession('a', true)).sentPosition, 4)
    })
  })

  async function openAll(store: OwnedStore, clientIds: readonly string[]): Promise<void> {
    for (const clientId of clientIds) await store.openSession(clientId, true)
  }
}
