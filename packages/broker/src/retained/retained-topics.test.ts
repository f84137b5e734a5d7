import { Message } from '@breakwater/bus'
import { MemoryStore, type Appended } from '@breakwater/store'
import { expect, it } from 'vitest'
import { RetainedTopics } from './retained-topics.ts'

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

function retained(topic: string, payload = 'm'): Message {
  return new Message(topic, Buffer.from(payload), 1, true)
}

async function storeOf(...topics: readonly string[]): Promise<MemoryStore> {
  const store = new MemoryStore({ queueMessagesMax: 10, queueBytesMax: 1_000 })
  for (const topic of topics) await append(store, retained(topic))
  return store
}

function append(store: MemoryStore, message: Message): Promise<Appended> {
  return new Promise((resolve, reject) => {
    store.append({ message, queues: [] }, (error, appended) =>
      error === undefined ? resolve(appended) : reject(error),
    )
  })
}

const found = (topics: RetainedTopics, filter: string): string[] =>
  Array.from({ [Symbol.iterator]: () => topics.match(filter, 10) })
    .filter((topic) => topic !== undefined)
    .toSorted()

it('the retained topics of a node are exactly the topics of the store that match a filter', async () => {
  const topics = new RetainedTopics(await storeOf(...TOPICS))
  await topics.load()
  expect(topics.size).toBe(TOPICS.length)
  for (const [filter, matching] of MATCHES)
    expect(found(topics, filter), `filter ${filter}`).toEqual(matching.toSorted())
})

it('the retained topics of a node follow the store at a change, whatever was known before', async () => {
  const store = await storeOf('stays', 'goes')
  const topics = new RetainedTopics(store)
  await topics.load()
  await append(store, retained('goes', ''))
  await append(store, retained('comes'))
  expect(found(topics, '#')).toEqual(['goes', 'stays'])
  await topics.refresh(['stays', 'goes', 'comes', 'never'])
  expect(found(topics, '#')).toEqual(['comes', 'stays'])
})

it('the retained topics of a node lose deleted topics when all topics are read again, and a walk in progress ends', async () => {
  const store = await storeOf('a', 'b')
  const topics = new RetainedTopics(store)
  await topics.load()
  const walk = topics.match('#', 10)
  const first = walk.next().value
  await append(store, retained('a', ''))
  await append(store, retained('c'))
  await topics.load()
  const second = walk.next().value
  expect(new Set([first, second])).toEqual(new Set(['a', 'b']))
  expect(walk.next().done).toBe(true)
  expect(found(topics, '#')).toEqual(['b', 'c'])
})

it.each([
  { what: 'new in the store', known: false, changed: true, payload: 'm', isNews: true },
  { what: 'replaced', known: true, changed: false, payload: 'm', isNews: false },
  {
    what: 'set, and not yet announced',
    known: false,
    changed: false,
    payload: 'm',
    isNews: true,
  },
  { what: 'cleared', known: true, changed: true, payload: '', isNews: true },
  {
    what: 'cleared, and not yet announced',
    known: true,
    changed: false,
    payload: '',
    isNews: true,
  },
  {
    what: 'cleared without a retained message',
    known: false,
    changed: false,
    payload: '',
    isNews: false,
  },
])(
  'a retained publish must be announced to other nodes: $what: $isNews',
  async ({ known, changed, payload, isNews }) => {
    const topics = new RetainedTopics(await storeOf(...(known ? ['t'] : [])))
    await topics.load()
    const appended = { positions: [], dropped: 0, retainedChanged: changed }
    expect(topics.isNews(retained('t', payload), appended)).toBe(isNews)
    const plain = new Message('t', Buffer.from(payload), 1, false)
    expect(topics.isNews(plain, { ...appended, retainedChanged: false })).toBe(false)
  },
)
