/** Invalid values in Redis: each kind of key, invalid in every way, under running nodes and before a start. */
import { randomUUID } from 'node:crypto'
import {
  bucketOf,
  keysWith,
  kindOfKey,
  redisKeyKinds,
  RETAINED_BUCKETS,
  type Keys,
} from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedisProcess, type RedisServer } from '../kit/redis/redis-process.ts'
import { WireClient } from '../kit/wire-client.ts'
import { unique } from '../conformance/suite.ts'

const PREFIX = 'bad:'
const ID = 'victim'
const SHARED = '$share/g/victim'
const WILL = 'mourner'

/** Keys of the kinds, as they stand for the victims of this test. */
type KeyOf = (keys: Keys, node: string) => string

const KEYS: Readonly<Record<string, KeyOf>> = {
  session: (keys) => keys.session(ID),
  queue: (keys) => keys.queue(ID),
  release: (keys) => keys.release(ID),
  inbound: (keys) => keys.inbound(ID),
  shared: (keys) => keys.shared(SHARED),
  'shared-queue': (keys) => keys.sharedQueue(SHARED),
  'shared-members': (keys) => keys.sharedMembers(SHARED),
  filters: (keys) => keys.filters(ID),
  sessions: (keys) => keys.sessions(bucketOf(ID)),
  'user-sessions': (keys) => keys.userSessions(''),
  'user-groups': (keys) => keys.userGroups(''),
  retained: (keys) => keys.retained(bucketOf('kept', RETAINED_BUCKETS)),
  'retained-owners': (keys) => keys.retainedOwners(bucketOf('kept', RETAINED_BUCKETS)),
  'retained-usage': (keys) => keys.retainedUsage(bucketOf('kept', RETAINED_BUCKETS)),
  owners: (keys) => keys.owners(bucketOf(ID)),
  wills: (keys) => keys.wills(bucketOf(WILL)),
  inbox: (keys, node) => keys.inbox(node),
  'inbox-bytes': (keys, node) => keys.inboxBytes(node),
  head: (keys) => keys.clusterHead,
  log: (keys) => keys.clusterLog,
  'log-usage': (keys) => keys.clusterLogUsage,
  nodes: (keys) => keys.clusterNodes,
  leases: (keys) => keys.clusterLeases,
  departed: (keys) => keys.clusterDeparted,
  generation: (keys) => keys.clusterGeneration,
  format: (keys) => keys.clusterFormat,
  import: (keys) => keys.clusterImport,
  revocations: (keys) => keys.clusterRevocations,
  routes: (keys, node) => keys.clusterRoutes(node),
  tickets: (keys) => keys.clusterTickets,
}

/** Not tested: keys of an import only, or keys of a single node under a name that clients do not know. */
const WITHOUT = ['imported', 'imported-topics', 'writer', 'notices', 'other']

type Change = (admin: Redis, key: string) => Promise<unknown>

const string: Change = async (admin, key) => {
  await admin.del(key)
  await admin.set(key, 'nonsense')
}
const list: Change = async (admin, key) => {
  await admin.del(key)
  await admin.rpush(key, 'nonsense')
}
const field =
  (name: string, value: string | Buffer): Change =>
  (admin, key) =>
    admin.hset(key, name, value)
const text =
  (value: string): Change =>
  (admin, key) =>
    admin.set(key, value)
const logEntry =
  (value: string): Change =>
  async (admin, key) => {
    const head = await admin.incr(key.replace(/log$/, 'head'))
    await admin.xadd(key, `0-${head}`, 'e', value)
  }
const entry =
  (id: string, ...fields: (string | Buffer)[]): Change =>
  (admin, key) =>
    admin.xadd(key, id, ...fields)

const HUGE = '99999999999999999999'
const CUT = Buffer.from([1, 5, 0])

/** What may be wrong beside the type. */
const CONTENTS: readonly (readonly [kind: string, what: string, change: Change])[] = [
  ['log', 'no JSON', logEntry('{not json')],
  ['log', 'null', logEntry('null')],
  ['log', 'a number', logEntry('7')],
  ['log', 'lists that are none', logEntry('{"kind":"changed","node":"n","added":5}')],
  [
    'log',
    'a list of numbers',
    logEntry('{"kind":"changed","node":"n","added":[1],"removed":[],"sessions":[]}'),
  ],
  ['log', 'no node', logEntry('{"kind":"joined"}')],
  ['log', 'an entry that is not counted', (admin, key) => admin.xadd(key, '0-*', 'e', 'x')],
  ['log', 'an id of a time', entry('*', 'e', 'x')],
  ['head', 'no number', text('nonsense')],
  ['head', 'nothing', text('')],
  ['head', 'a huge number', text(HUGE)],
  ['head', 'an earlier one', text('1')],
  ['log-usage', 'no number', field('bytes', 'x')],
  ['nodes', 'no JSON', field('ghost', '{')],
  ['nodes', 'null', field('ghost', 'null')],
  ['leases', 'a stranger', (admin, key) => admin.zadd(key, 0, 'ghost')],
  ['departed', 'a stranger', (admin, key) => admin.zadd(key, 0, 'ghost')],
  ['generation', 'nothing', text('')],
  ['format', 'no number', text('x')],
  ['import', 'held by nobody', text('x')],
  ['filters', 'no QoS', field('t/#', 'x')],
  ['filters', 'no filter', field('a/#/b', '1')],
  ['session', 'no epoch', field('epoch', 'x')],
  ['session', 'a huge epoch', field('epoch', HUGE)],
  ['session', 'no position', field('last', 'x')],
  ['session', 'no size', field('bytes', 'x')],
  ['queue', 'no message', entry('0-*', 'm', CUT)],
  ['queue', 'no field', entry('0-*', 'x', 'y')],
  ['queue', 'an id of a time', entry('*', 'm', 'x')],
  ['release', 'no packet id', field('x', 'y')],
  ['inbound', 'no packet id', field('x', 'y')],
  ['inbound', 'no message', field('7', CUT)],
  ['shared', 'no position', field('last', 'x')],
  ['shared-queue', 'no message', entry('0-*', 'm', CUT, 'n', '', 'h', '1')],
  ['shared-queue', 'no field', entry('0-*', 'x', 'y')],
  ['owners', 'no record', field(ID, 'x')],
  ['owners', 'a huge epoch', field(ID, `${HUGE} n - `)],
  ['wills', 'no message', field(WILL, CUT)],
  ['retained', 'no message', field('kept', CUT)],
  ['retained', 'nothing', field('kept', '')],
  ['retained', 'no topic', field('a/#', CUT)],
  ['retained-usage', 'no number', field('bytes', 'x')],
  ['revocations', 'no JSON', field('clientId:x', '{')],
  ['revocations', 'no version', field('version', 'x')],
  ['routes', 'no filter', (admin, key) => admin.sadd(key, 'a/#/b', '')],
  ['tickets', 'no time', field('x', 'y')],
  ['tickets', 'a time far from now', field(HUGE, 'y')],
  ['inbox', 'no frame', entry('*', 'f', CUT)],
  ['inbox', 'the last id', entry('18446744073709551615-18446744073709551615', 'f', 'x')],
  ['inbox-bytes', 'no number', field('in', 'x')],
  ['inbox-bytes', 'no generation', field('generation', 'x')],
]

const CASES = [
  ...Object.keys(KEYS).map((kind) =>
    kindOfKey(`v1:{cluster}:${kind}`).type === 'string'
      ? ([kind, 'another type', list] as const)
      : ([kind, 'another type', string] as const),
  ),
  ...CONTENTS,
]

const environment = {
  BREAKWATER_LIMIT_STORE_TIMEOUT_MS: '5000',
  BREAKWATER_LIMIT_NODE_LEASE_MS: '2000',
}

let server: RedisServer
let admin: Redis
let nodes: readonly TestNode[]
const keys = keysWith(PREFIX)

beforeAll(async () => {
  server = await startRedisProcess([])
  admin = new Redis(server.url)
  const settings = { redisUrl: server.url, redisPrefix: PREFIX, environment }
  nodes = [await startNode(settings), await startNode(settings)]
  const [a] = nodes as [TestNode]
  await using victim = await WireClient.open(a)
  await victim.connect({ clientId: ID, clean: false })
  await victim.subscribe(['t/#', 2], [SHARED, 1])
  await using publisher = await WireClient.open(a)
  await publisher.connect({ clientId: unique('p') })
  await publisher.publish({ topic: 'kept', payload: 'x', qos: 1, retain: true })
})
afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]()
  admin.disconnect()
  await server[Symbol.asyncDispose]()
})

/** Others are served: subscribed, acknowledged and delivered to, at both nodes, with what is queued and retained. */
async function othersAreServed(all: readonly TestNode[]): Promise<void> {
  const [here, there = here] = all as [TestNode, TestNode?]
  const topic = unique('t')
  await using subscriber = await WireClient.open(there)
  await subscriber.connect({ clientId: randomUUID(), clean: false })
  expect(await subscriber.subscribe([topic, 1])).toEqual([1])
  await using publisher = await WireClient.open(here)
  await publisher.connect({ clientId: randomUUID(), clean: false })
  await publisher.publish({ topic, payload: 'live', qos: 1 })
  // It goes to the victim's queue, and to that of the group, too.
  await publisher.publish({ topic: 't/all', payload: 'x', qos: 1 })
  await publisher.publish({ topic: 'victim', payload: 'x', qos: 2 })
  await publisher.publish({ topic: 'kept', payload: 'x', qos: 1, retain: true })
  const { payload } = await subscriber.take('publish')
  expect(payload.toString()).toBe('live')
  await using reader = await WireClient.open(here)
  // Where an inbox is lost, clean subscribers of QoS 1 are closed: they may have missed something.
  await reader.connect({ clientId: randomUUID(), clean: false })
  expect(await reader.subscribe(['kept', 1])).toEqual([1])
  expect((await reader.take('publish')).payload.toString()).toBe('x')
}

async function victimIsServed(node: TestNode): Promise<void> {
  await using victim = await WireClient.open(node)
  expect(await victim.connect({ clientId: ID, clean: false })).toMatchObject({ returnCode: 0 })
  expect(await victim.subscribe(['t/#', 2], [SHARED, 1])).toEqual([2, 1])
}

async function counted(node: TestNode): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  const found = page.matchAll(/^breakwater_store_bad_values_total\{key="([a-z-]+)"\} (\d+)$/gm)
  return new Map([...found].map(([, kind = '', count]) => [kind, Number(count)]))
}

function sumOf(counts: readonly ReadonlyMap<string, number>[], kind: string): number {
  return counts.reduce((sum, count) => sum + (count.get(kind) ?? 0), 0)
}

test('the table of bad values has every kind of key in Redis', () => {
  const all = [...Object.keys(KEYS), ...WITHOUT]
  expect(all.toSorted()).toEqual([...redisKeyKinds].toSorted())
})

describe('a bad value in Redis under running nodes', () => {
  test.each(CASES)(
    'in a key of the kind %s, with %s, affects no other client',
    async (kind, _, change) => {
      const [a] = nodes as [TestNode]
      const keyOf = KEYS[kind] as KeyOf
      await change(admin, keyOf(keys, a.id)).catch(() => undefined)
      await othersAreServed(nodes)
      await victimIsServed(a)
    },
  )

  test('is counted by the kind of its key and logged once', async () => {
    const counts = await Promise.all(nodes.map(counted))
    const lines = nodes.flatMap((node) => node.logs())
    const told = lines.filter(({ msg }) => String(msg).startsWith('skipped a value in Redis'))
    for (const kind of [
      'log',
      'filters',
      'owners',
      'session',
      'queue',
      'retained',
      'inbox',
      'head',
    ]) {
      expect(
        counts.some((count) => (count.get(kind) ?? 0) > 0),
        kind,
      ).toBe(true)
      const line = told.find((each) => each['kind'] === kind)
      expect(String(line?.['key']), kind).toContain(PREFIX)
    }
    expect(told.length).toBeLessThanOrEqual(2 * redisKeyKinds.length)
  })
})

describe('bad values in Redis before a start', () => {
  test.each([
    ['of another type', true],
    ['with invalid contents', false],
  ] as const)('do not stop a node from starting: all keys %s', async (_, isType) => {
    const stranger = randomUUID()
    const before = await Promise.all(nodes.map(counted))
    for (const [kind, name, change] of CASES) {
      if ((name === 'another type') !== isType) continue
      const keyOf = KEYS[kind] as KeyOf
      await change(admin, keyOf(keys, stranger)).catch(() => undefined)
    }
    await using node = await startNode({ redisUrl: server.url, redisPrefix: PREFIX, environment })
    await othersAreServed([node])
    await victimIsServed(node)
    // The node that read the value first has counted it: this node, or an earlier one.
    const after = await Promise.all([node, ...nodes].map(counted))
    for (const kind of ['filters', 'owners', 'retained'])
      expect(sumOf(after, kind), kind).toBeGreaterThan(sumOf(before, kind))
  })
})
