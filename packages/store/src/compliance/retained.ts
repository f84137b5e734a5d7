import assert from 'node:assert/strict'
import type { QoS } from '@breakwater/mqtt'
import type { OwnedStore } from './owned-store.ts'
import {
  allRetained,
  append,
  message,
  retainedOf,
  retainedTopicsOf,
  type OpenStore,
  type Suite,
} from './store-under-test.ts'

/** Topics that a store must not take for a pattern, for each other, or for something of its own. */
const TOPICS: readonly string[] = [
  'a',
  'a/b',
  'a/b/c',
  'A/b',
  '/',
  '//',
  '/a',
  'a/',
  'a//b',
  ' ',
  '$SYS/up',
  '$other',
  'dev[1]/x',
  'dev1/x',
  'back\\slash/x',
  'backslash/x',
  '*',
  '*/x',
  '?',
  '^',
  '{a}',
  '__proto__',
  'constructor',
  'é/😀',
]

const ABSENT: readonly string[] = ['dev2/x', 'dev[12]/x', 'A', 'b', '/*', 'toString', '#', '+', '']

export function retainedCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('retained messages', () => {
    test('are set, replaced, cleared and counted for every node', async () => {
      await using under = await open()
      await retain(under.store, 't', 'one')
      assert.deepEqual(await found(under.other), ['t one'])
      await retain(under.other, 't', 'two')
      await retain(under.store, 'u', 'three')
      assert.deepEqual(await found(under.store), ['t two', 'u three'])
      assert.equal((await retainedTopicsOf(under.store)).length, 2)
      await retain(under.store, 't', '')
      assert.deepEqual(await found(under.other), ['u three'])
      await retain(under.store, 'never there', '')
      assert.equal((await retainedTopicsOf(under.other)).length, 1)
    })

    test('report whether their topic is new or removed', async () => {
      await using under = await open()
      const steps = [
        ['t', 'one', true],
        ['t', 'two', false],
        ['u', '', false],
        ['t', '', true],
        ['t', '', false],
        ['t', 'three', true],
      ] as const
      for (const [topic, payload, retainedChanged] of steps)
        assert.equal(await retain(under.store, topic, payload), retainedChanged)
      assert.equal(await retain(under.other, 't', 'four'), false)
      const { epoch } = await under.store.openSession('a', true)
      const queues = [{ clientId: 'a', qos: 1 as const }]
      for (const [topic, retainedChanged] of [
        ['t', false],
        ['v', true],
      ] as const) {
        const retained = message(topic, 'm', { retain: true })
        const appended = await append(under.store, { message: retained, queues })
        assert.equal(appended.retainedChanged, retainedChanged)
      }
      const plain = await append(under.store, { message: message('w', 'm'), queues })
      assert.equal(plain.retainedChanged, false)
      const replay = { message: message('t', 'm', { retain: true }), queues, replay: true }
      const replayed = await append(under.store, replay)
      assert.deepEqual(replayed, {
        positions: [4],
        epochs: [epoch],
        dropped: 0,
        retainedChanged: false,
      })
    })

    test('keep QoS, flag and every byte of the payload', async () => {
      await using under = await open()
      const payload = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
      for (const qos of [0, 1, 2] as const) await retain(under.store, `q${qos}`, payload, qos)
      for (const qos of [0, 1, 2] as const) {
        const [message] = await retainedOf(under.other, [`q${qos}`])
        assert.equal(message?.qos, qos)
        assert.equal(message.retain, true)
        assert.deepEqual(Buffer.from(message.payload), payload)
      }
    })

    test('keep a payload whose buffer is reused, a large payload and a long topic', async () => {
      await using under = await open()
      const shared = Buffer.from('before')
      await retain(under.store, 'shared', shared)
      shared.fill('x')
      assert.deepEqual(await found(under.store), ['shared before'])
      const large = 'large'.repeat(200_000)
      const topic = `long/${'x'.repeat(65_530)}`
      await retain(under.store, topic, large)
      assert.deepEqual(await found(under.store), [`${topic} ${large}`, 'shared before'])
    })

    test('are not changed by a message without the flag, empty or not', async () => {
      await using under = await open()
      await retain(under.store, 't', 'kept')
      for (const payload of ['', 'other'])
        await append(under.store, { message: message('t', payload), queues: [] })
      assert.deepEqual(await found(under.store), ['t kept'])
    })

    test('are stored together with the queues of the same message', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const { positions } = await append(under.store, {
        message: message('t', 'm', { retain: true }),
        queues: [{ clientId: 'a', qos: 1 }],
      })
      assert.deepEqual(positions, [1])
      assert.deepEqual(await found(under.store), ['t m'])
    })

    test('keep the last of many messages to one topic in one turn', async () => {
      await using under = await open()
      await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          retain(under.store, 't', index % 2 === 0 ? '' : `${index}`),
        ),
      )
      assert.deepEqual(await found(under.store), ['t 499'])
    })

    test('are found and read by exactly their topics', async () => {
      await using under = await open()
      for (const topic of TOPICS) await retain(under.store, topic, `of ${topic}`)
      assert.deepEqual(await retainedTopicsOf(under.other), TOPICS.toSorted())
      const asked = TOPICS.flatMap((topic, index) => [topic, ABSENT[index] ?? `absent ${topic}`])
      assert.deepEqual(
        await under.store.retainedExist(asked),
        asked.map((topic) => TOPICS.includes(topic)),
      )
      const messages = await retainedOf(under.other, asked)
      assert.deepEqual(
        messages.map(({ topic, payload }) => [topic, payload.toString()]),
        TOPICS.map((topic) => [topic, `of ${topic}`]),
      )
      for (const topic of ABSENT) assert.deepEqual(await retainedOf(under.store, [topic]), [])
      assert.deepEqual(await under.store.retainedExist([]), [])
      assert.deepEqual(await under.store.readRetained([], 1), { messages: [], rest: [] })
    })

    test('are each found once, for any number', async () => {
      await using under = await open()
      const topics = Array.from({ length: 3_000 }, (_, index) => `many/${index}`)
      await Promise.all(topics.map((topic) => retain(under.store, topic, 'm')))
      assert.deepEqual(await retainedTopicsOf(under.other), topics.toSorted())
      assert.deepEqual(
        await under.other.retainedExist([...topics, 'many']),
        [...topics, 'many'].map((topic) => topic !== 'many'),
      )
      const messages = await retainedOf(under.store, topics)
      assert.deepEqual(
        messages.map(({ topic }) => topic),
        topics,
      )
    })

    test('are read up to a bound, but at least one', async () => {
      await using under = await open()
      const topics = Array.from({ length: 200 }, (_, index) => `room/${index}`)
      const payload = 'x'.repeat(1_000)
      await Promise.all(topics.map((topic) => retain(under.store, topic, payload)))
      const { messages, rest } = await under.store.readRetained(topics, 20_000)
      assert.ok(messages.length >= 10 && messages.length <= 40, `${messages.length} were read`)
      const seen = new Set([...rest, ...messages.map(({ topic }) => topic)])
      assert.equal(seen.size, messages.length + rest.length)
      assert.deepEqual([...seen].toSorted(), topics.toSorted())
      const all = await retainedOf(under.store, topics, 1)
      assert.deepEqual(
        all.map(({ topic }) => topic),
        topics,
      )
    })
  })

  async function retain(
    store: OwnedStore,
    topic: string,
    payload: string | Buffer,
    qos: QoS = 1,
  ): Promise<boolean> {
    const retained = message(topic, payload, { qos, retain: true })
    const { retainedChanged } = await append(store, { message: retained, queues: [] })
    return retainedChanged
  }

  /** `topic payload` of all, sorted. */
  async function found(store: OwnedStore): Promise<string[]> {
    const messages = await allRetained(store)
    return messages.map(({ topic, payload }) => `${topic} ${payload.toString()}`).toSorted()
  }
}
