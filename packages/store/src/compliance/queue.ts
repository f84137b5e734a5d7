import assert from 'node:assert/strict'
import type { Store } from '../store.ts'
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

/** More than any implementation writes in one step. */
const MANY = 2_500

export function queueCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('a queue', () => {
    test('numbers its messages from 1 without gaps, each session by itself', async () => {
      await using under = await open()
      await openAll(under.store, ['a', 'b'])
      for (let position = 1; position <= 5; position += 1)
        assert.equal(await enqueue(under.store, 'a', `${position}`), position)
      assert.equal(await enqueue(under.store, 'b', 'first'), 1)
      assert.deepEqual(await queueOf(under.store, 'a'), ['1 1', '2 2', '3 3', '4 4', '5 5'])
    })

    test('gives back what was appended, with the granted QoS and without the retain flag', async () => {
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

    test('keeps a payload whose buffer is used again, and an empty and a large one', async () => {
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

    test('keeps the order of the calls, and calls back in it, however many in one turn', async () => {
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

    test('keeps the order of each appender, and gives no position twice', async () => {
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

    test('takes one message for many sessions, and says 0 for those that are not there', async () => {
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
      })
    })

    test('keeps the flag of a retained message that is replayed into it, and retains nothing', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      await append(under.store, {
        message: message('t', 'm', { retain: true }),
        queues: [{ clientId: 'a', qos: 1 }],
        replay: true,
      })
      assert.equal((await readAll(under.store, 'a'))[0]?.message.retain, true)
      assert.deepEqual(await retainedOf(under.store, '#'), [])
    })
  })

  describe('reading a queue', () => {
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

    test('of a session that is not there finds nothing', async () => {
      await using under = await open()
      assert.deepEqual(await readAll(under.store, 'a'), [])
    })

    test('counts as sent, up to the last message that was read', async () => {
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

    test('is not needed to be sent: a position can be recorded, and never goes back', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 1; index <= 5; index += 1) await enqueue(under.store, 'a', `${index}`)
      under.store.recordSent('a', 4)
      under.store.recordSent('a', 2)
      await written(under.store)
      assert.equal((await under.other.openSession('a', true)).sentPosition, 4)
    })
  })

  describe('acknowledgements', () => {
    test('take messages out of the queue in any order; what is not there is no error', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (let index = 1; index <= 6; index += 1) await enqueue(under.store, 'a', `${index}`)
      for (const position of [5, 1, 2, 5, 99]) under.store.settle('a', position)
      await written(under.store)
      assert.deepEqual(await queueOf(under.other, 'a'), ['3 3', '4 4', '6 6'])
      for (const position of [3, 6, 4]) under.store.settle('a', position)
      await written(under.store)
      assert.deepEqual(await queueOf(under.store, 'a'), [])
      assert.equal(await enqueue(under.store, 'a', 'next'), 7)
    })

    test('[MQTT-4.6.0-4] released packet ids come back in the order of their release, until completed', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      const ids = Array.from({ length: 600 }, (_, index) => index + 1)
      for (const _ of ids) await enqueue(under.store, 'a', 'm', 2)
      const order = [...ids.slice(300), ...ids.slice(0, 300).toReversed()]
      await Promise.all(
        order.map((packetId) =>
          called((done) => under.store.release('a', packetId, packetId, done)),
        ),
      )
      assert.deepEqual(await queueOf(under.store, 'a'), [])
      assert.deepEqual((await under.other.openSession('a', true)).released, order)
      for (const packetId of order.slice(1)) under.store.complete('a', packetId)
      under.store.complete('a', 65_535)
      await written(under.store)
      assert.deepEqual((await under.other.openSession('a', true)).released, [order[0]])
    })

    test('of a release that comes again keep its place', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      for (const packetId of [1, 2, 1])
        await called((done) => under.store.release('a', packetId, packetId, done))
      assert.deepEqual((await under.store.openSession('a', true)).released, [1, 2])
    })

    test('of a session that has ended do nothing and are answered', async () => {
      await using under = await open()
      await openAll(under.store, ['a'])
      await enqueue(under.store, 'a', 'm', 2)
      await under.store.endSession('a')
      under.store.settle('a', 1)
      under.store.recordSent('a', 1)
      await called((done) => under.store.release('a', 1, 1, done))
      under.store.complete('a', 2)
      assert.equal(await enqueue(under.store, 'a', 'late'), 0)
      const { epoch: _, ...opened } = await under.store.openSession('a', true)
      assert.deepEqual(opened, {
        present: false,
        subscriptions: [],
        sentPosition: 0,
        released: [],
        received: [],
      })
      assert.deepEqual(await queueOf(under.store, 'a'), [])
    })
  })

  async function openAll(store: Store, clientIds: readonly string[]): Promise<void> {
    for (const clientId of clientIds) await store.openSession(clientId, true)
  }
}
