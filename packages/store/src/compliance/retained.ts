import assert from 'node:assert/strict'
import type { QoS } from '@breakwater/bus'
import type { OwnedStore } from './owned-store.ts'
import { append, message, retainedOf, type OpenStore, type Suite } from './store-under-test.ts'

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

/** `$` topics stay away from a leading wildcard [MQTT-4.7.2-1]. */
const PLAIN_TOPICS = TOPICS.filter((topic) => !topic.startsWith('$'))

const MATCHES: readonly (readonly [filter: string, topics: readonly string[]])[] = [
  ...TOPICS.map((topic) => [topic, [topic]] as const),
  ['#', PLAIN_TOPICS],
  ['+', PLAIN_TOPICS.filter((topic) => !topic.includes('/'))],
  ['a/#', ['a', 'a/b', 'a/b/c', 'a/', 'a//b']],
  ['a/+', ['a/b', 'a/']],
  ['a/+/+', ['a/b/c', 'a//b']],
  ['a/+/b', ['a//b']],
  ['a//+', ['a//b']],
  [
    '+/+',
    [
      'a/b',
      'A/b',
      '/',
      '/a',
      'a/',
      'dev[1]/x',
      'dev1/x',
      'back\\slash/x',
      'backslash/x',
      '*/x',
      'é/😀',
    ],
  ],
  ['+/b/#', ['a/b', 'a/b/c', 'A/b']],
  ['/+', ['/', '/a']],
  ['/#', ['/', '//', '/a']],
  ['//#', ['/', '//']],
  ['//', ['//']],
  ['dev[1]/+', ['dev[1]/x']],
  ['dev[12]/+', []],
  ['back\\slash/+', ['back\\slash/x']],
  ['*/+', ['*/x']],
  ['*/#', ['*', '*/x']],
  ['?/#', ['?']],
  ['dev?/+', []],
  ['$SYS/#', ['$SYS/up']],
  ['$SYS/+', ['$SYS/up']],
  ['+/up', []],
  ['$other/#', ['$other']],
  ['nothing/+', []],
  ['nothing', []],
]

export function retainedCompliance({ describe, test }: Suite, open: OpenStore): void {
  describe('retained messages', () => {
    test('are set, replaced and cleared, and counted, for every node', async () => {
      await using under = await open()
      await retain(under.store, 't', 'one')
      assert.deepEqual(await found(under.other, 't'), ['t one'])
      await retain(under.other, 't', 'two')
      await retain(under.store, 'u', 'three')
      assert.deepEqual(await found(under.store, '#'), ['t two', 'u three'])
      assert.equal((await under.store.counts()).retained, 2)
      await retain(under.store, 't', '')
      assert.deepEqual(await found(under.other, '#'), ['u three'])
      await retain(under.store, 'never there', '')
      assert.equal((await under.other.counts()).retained, 1)
    })

    test('keep QoS, flag and every byte of the payload', async () => {
      await using under = await open()
      const payload = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
      for (const qos of [0, 1, 2] as const) await retain(under.store, `q${qos}`, payload, qos)
      for (const qos of [0, 1, 2] as const) {
        const [message] = await retainedOf(under.other, `q${qos}`)
        assert.equal(message?.qos, qos)
        assert.equal(message.retain, true)
        assert.deepEqual(Buffer.from(message.payload), payload)
      }
    })

    test('keep a payload whose buffer is used again, a large one and a long topic', async () => {
      await using under = await open()
      const shared = Buffer.from('before')
      await retain(under.store, 'shared', shared)
      shared.fill('x')
      assert.deepEqual(await found(under.store, 'shared'), ['shared before'])
      const large = 'large'.repeat(200_000)
      const topic = `long/${'x'.repeat(65_530)}`
      await retain(under.store, topic, large)
      assert.deepEqual(await found(under.store, 'long/+'), [`${topic} ${large}`])
    })

    test('are not changed by a message without the flag, empty or not', async () => {
      await using under = await open()
      await retain(under.store, 't', 'kept')
      for (const payload of ['', 'other'])
        await append(under.store, { message: message('t', payload), queues: [] })
      assert.deepEqual(await found(under.store, '#'), ['t kept'])
    })

    test('go with the queues of the same message', async () => {
      await using under = await open()
      await under.store.openSession('a', true)
      const { positions } = await append(under.store, {
        message: message('t', 'm', { retain: true }),
        queues: [{ clientId: 'a', qos: 1 }],
      })
      assert.deepEqual(positions, [1])
      assert.deepEqual(await found(under.store, 't'), ['t m'])
    })

    test('keep the last of many to one topic in one turn', async () => {
      await using under = await open()
      await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          retain(under.store, 't', index % 2 === 0 ? '' : `${index}`),
        ),
      )
      assert.deepEqual(await found(under.store, '#'), ['t 499'])
    })

    test('are found by exactly the filters that match their topics', async () => {
      await using under = await open()
      for (const topic of TOPICS) await retain(under.store, topic, 'm')
      for (const [filter, topics] of MATCHES)
        assert.deepEqual(
          await found(under.store, filter),
          topics.map((topic) => `${topic} m`).toSorted(),
          `filter ${filter}`,
        )
    })

    test('are found each once, however many', async () => {
      await using under = await open()
      const topics = Array.from({ length: 3_000 }, (_, index) => `many/${index}`)
      await Promise.all(topics.map((topic) => retain(under.store, topic, 'm')))
      const messages = await retainedOf(under.store, 'many/#')
      assert.deepEqual(messages.map(({ topic }) => topic).toSorted(), topics.toSorted())
    })
  })

  async function retain(
    store: OwnedStore,
    topic: string,
    payload: string | Buffer,
    qos: QoS = 1,
  ): Promise<void> {
    await append(store, { message: message(topic, payload, { qos, retain: true }), queues: [] })
  }

  /** `topic payload`, sorted. */
  async function found(store: OwnedStore, filter: string): Promise<string[]> {
    const messages = await retainedOf(store, filter)
    return messages.map(({ topic, payload }) => `${topic} ${payload.toString()}`).toSorted()
  }
}
