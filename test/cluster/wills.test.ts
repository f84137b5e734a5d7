/** Wills outlive their node [MQTT-3.1.2-8]: published once, by another node, unless the client is back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { spawnNode, startNode, type TestNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import type { WireClient } from '../kit/wire-client.ts'
import type { WireWill } from '../kit/wire-encoder.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'

const LEASE_MS = 2_000
/** Longer than any test here takes. */
const TAKE_OVER_MS = 60_000
const WINDOW_MS = 1_500
const WILLS = 100
/** This number of further clients causes no will when the node is killed or stopped. */
const OTHERS = 20
const RETURNING = 200
const MANY_WILLS = 600
/** Until a node continues where another was killed, four of these go by. */
const SHORT_LEASE_MS = 1_000
const KILLED_AFTER = 50
const NOTHING = { topic: '', payload: Buffer.alloc(0) }

/** Of every QoS; some are retained. */
const willOf = (topic: string, index: number): WireWill & { readonly topic: string } => ({
  topic,
  payload: `will of ${topic}`,
  qos: index % 3,
  retain: index % 4 === 0,
})

describe('the wills of the clients of a node', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({
      limits: {
        nodeLeaseMs: LEASE_MS,
        willDrainWindowMs: WINDOW_MS,
        takeOverTimeoutMs: TAKE_OVER_MS,
      },
    })
  })
  afterAll(() => cluster[Symbol.asyncDispose]())

  it('that is killed are published once by another node, unless the client has come back', async () => {
    const root = unique('r')
    await using watcher = await watch(cluster.a, root)
    await using doomed = await spawnNode(cluster.settings)
    await using stack = new AsyncDisposableStack()
    const lost = await connectAll(stack, doomed, root, 'away', WILLS)
    // A client that disconnected has no will; nor has a client that is back before any node knows of the kill.
    for (const { client } of await connectAll(stack, doomed, root, 'goodbye', OTHERS))
      await client.disconnect()
    const moving = await connectAll(stack, doomed, root, 'moving', OTHERS)
    await doomed.kill('SIGKILL')
    // No process listens at the killed node: a claim that waited for it would wait longer than a test may take.
    const back = await Promise.all(
      moving.map(({ clientId }) => connectAt(cluster.b, { clientId, clean: false })),
    )
    for (const client of back) stack.use(client)

    const wills = await watcher.receive(WILLS)
    expect(wills.map(({ topic }) => topic).toSorted()).toEqual(
      lost.map(({ will }) => will.topic).toSorted(),
    )
    for (const { topic, qos, payload } of wills) {
      const will = lost.find((client) => client.will.topic === topic)?.will
      expect({ qos, payload: payload.toString() }).toEqual({
        qos: will?.qos,
        payload: will?.payload,
      })
    }
    await expectAdopted(cluster, doomed.id)
    await expectNothingMore(watcher, cluster.c, root)
    await using late = await watch(cluster.c, root)
    const retained = await late.receive(WILLS / 4)
    expect(new Set(retained.map(({ retain }) => retain))).toEqual(new Set([true]))
  })

  it('that is killed never arrive after messages that their clients publish when they are back', async () => {
    const root = unique('r')
    await using watcher = await watch(cluster.a, root, 1)
    await using doomed = await spawnNode(cluster.settings)
    await using stack = new AsyncDisposableStack()
    const lost = await connectAll(stack, doomed, root, 'away', RETURNING)
    await doomed.kill('SIGKILL')
    const seen: string[] = []
    const receive = async (): Promise<void> => {
      const [{ topic, payload } = NOTHING] = await watcher.receive(1)
      seen.push(`${payload.toString().startsWith('will') ? 'will' : 'newer'} ${topic}`)
    }
    // The wills are being published; those of QoS 0 wait for nothing.
    await receive()
    const newer = Promise.all(
      lost.map(async ({ clientId, will }, index) => {
        const client = stack.use(
          await connectAt(index % 2 === 0 ? cluster.b : cluster.c, { clientId }),
        )
        await client.publish({ topic: will.topic, payload: 'newer', qos: 1 })
      }),
    )
    const isNewer = (text: string): boolean => text.startsWith('newer')
    while (seen.filter(isNewer).length < RETURNING) await receive()
    await newer
    await expectAdopted(cluster, doomed.id)
    await expectNothingMore(watcher, cluster.b, root)
    for (const { will } of lost) {
      const told = seen
        .filter((text) => text.endsWith(` ${will.topic}`))
        .map((text) => text.split(' ')[0])
      expect([['newer'], ['will', 'newer']]).toContainEqual(told)
    }
  })

  it('that stops wait for the clients to come back, and are published for clients that do not', async () => {
    const root = unique('r')
    await using watcher = await watch(cluster.a, root)
    const leaving = await cluster.join()
    await using stack = new AsyncDisposableStack()
    const away = await connectAll(stack, leaving, root, 'away', OTHERS)
    const moving = await connectAll(stack, leaving, root, 'moving', OTHERS)
    await leaving[Symbol.asyncDispose]()
    const start = performance.now()
    for (const { clientId, client } of moving) {
      await client.untilClosed()
      stack.use(await connectAt(cluster.b, { clientId, clean: false }))
    }
    await watcher.expectSilence()
    const wills = await watcher.receive(OTHERS)
    expect(performance.now() - start).toBeGreaterThan(WINDOW_MS - 500)
    expect(wills.map(({ topic }) => topic).toSorted()).toEqual(
      away.map(({ will }) => will.topic).toSorted(),
    )
    await expectAdopted(cluster, leaving.id)
    await expectNothingMore(watcher, cluster.c, root)
  })
})

it('a third node publishes the wills of a killed node when the node that was publishing them is killed as well', async () => {
  await using redis = await startRedis()
  const settings = { redisUrl: redis.url, redisPrefix: redis.prefix }
  // With such a lease it is too young to declare other nodes dead.
  await using witness = await startNode({ ...settings, limits: { nodeLeaseMs: 600_000 } })
  const judging = { ...settings, limits: { nodeLeaseMs: SHORT_LEASE_MS } }
  await using doomed = await spawnNode(judging)
  await using adopter = await spawnNode(judging)
  const root = unique('r')
  await using watcher = await watch(witness, root, 1, 30_000)
  await using stack = new AsyncDisposableStack()
  const lost = await connectAll(stack, doomed, root, 'away', MANY_WILLS)
  await doomed.kill('SIGKILL')
  const seen = new Map<string, number>()
  const receive = async (): Promise<void> => {
    const [will] = await watcher.receive(1)
    if (will !== undefined) seen.set(will.topic, (seen.get(will.topic) ?? 0) + 1)
  }
  while (seen.size < KILLED_AFTER) await receive()
  await adopter.kill('SIGKILL')
  await using finisher = await startNode(judging)
  while (seen.size < MANY_WILLS) await receive()
  expect([...seen.keys()].toSorted()).toEqual(lost.map(({ will }) => will.topic).toSorted())
  const { wills } = await finisher.logged(
    ({ msg, nodeId }) =>
      msg === 'took over the clients of a node that is gone' && nodeId === adopter.id,
  )
  expect(wills).toBeGreaterThan(0)
}, 60_000)

it('a will waits for its client to come back as long as the will window says after a lost connection', async () => {
  await using cluster = await startCluster({ limits: { willTakeOverWindowMs: WINDOW_MS } })
  const root = unique('r')
  await using watcher = await watch(cluster.c, root)
  await using stack = new AsyncDisposableStack()
  const away = await connectAll(stack, cluster.a, root, 'away', OTHERS)
  const moving = await connectAll(stack, cluster.a, root, 'moving', OTHERS)
  const start = performance.now()
  for (const { client } of [...away, ...moving]) await client.drop()
  for (const [index, { clientId }] of moving.entries())
    stack.use(await connectAt(index % 2 === 0 ? cluster.a : cluster.b, { clientId, clean: false }))
  await watcher.expectSilence()
  const wills = await watcher.receive(OTHERS)
  expect(performance.now() - start).toBeGreaterThan(WINDOW_MS - 50)
  expect(wills.map(({ topic }) => topic).toSorted()).toEqual(
    away.map(({ will }) => will.topic).toSorted(),
  )
  await expectNothingMore(watcher, cluster.b, root)
})

it('a will is not published by a cut-off node when the client has connected to another node', async () => {
  await using cluster = await startCluster({ limits: { takeOverTimeoutMs: 300 } })
  await using proxy = await startRedisProxy(cluster.redis.url)
  await using cut = await startNode({ ...cluster.settings, redisUrl: proxy.url })
  const root = unique('r')
  await using watcher = await watch(cluster.a, root)
  const clientId = unique('c')
  const will = willOf(`${root}/will`, 1)
  await using first = await connectAt(cut, { clientId, will })
  proxy.stall()
  // The node is asked, and does not receive the question.
  await using second = await connectAt(cluster.b, { clientId })
  await second.publish({ topic: will.topic, payload: 'newer', qos: 1 })
  expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('newer') }])
  await first.drop()
  await cut.logged(({ msg }) => msg === 'connection closed')
  await proxy.restore()
  // What the node that was cut off says comes behind what it said before.
  await using fence = await connectAt(cut, { will: willOf(`${root}/fence`, 1) })
  await fence.drop()
  expect(await watcher.receive(1)).toMatchObject([{ topic: `${root}/fence` }])
  await second.expectSilence()
})

interface Mortal {
  readonly clientId: string
  readonly client: WireClient
  readonly will: WireWill & { readonly topic: string }
}

/** Clients with wills. */
async function connectAll(
  stack: AsyncDisposableStack,
  node: Pick<TestNode, 'host' | 'port'>,
  root: string,
  name: string,
  count: number,
): Promise<Mortal[]> {
  const connect = async (index: number): Promise<Mortal> => {
    const clientId = unique('mortal')
    const will = willOf(`${root}/${name}-${index}`, index)
    const client = stack.use(await connectAt(node, { clientId, clean: index % 2 === 0, will }))
    return { clientId, client, will }
  }
  const mortals: Mortal[] = []
  while (mortals.length < count) {
    const batch = Math.min(50, count - mortals.length)
    const first = mortals.length
    mortals.push(
      ...(await Promise.all(Array.from({ length: batch }, (_, index) => connect(first + index)))),
    )
  }
  return mortals
}

async function watch(
  node: TestNode,
  root: string,
  qos = 2,
  timeoutMs = 10_000,
): Promise<WireClient> {
  const watcher = await connectAt(node, {}, { timeoutMs })
  await watcher.subscribe([`${root}/#`, qos])
  return watcher
}

/** All of its clients have been adopted. */
async function expectAdopted({ a, b, c }: Cluster, departed: string): Promise<void> {
  await Promise.any(
    [a, b, c].map((node) =>
      node.logged(
        ({ msg, nodeId }) =>
          msg === 'took over the clients of a node that is gone' && nodeId === departed,
      ),
    ),
  )
}

/** A message of another node comes, and nothing before it. */
async function expectNothingMore(watcher: WireClient, node: TestNode, root: string): Promise<void> {
  await using publisher = await connectAt(node)
  await publisher.publish({ topic: `${root}/last`, payload: 'last', qos: 1 })
  expect(await watcher.receive(1)).toMatchObject([{ topic: `${root}/last` }])
}
