/** Nodes that join late, and sessions that expire. */
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { WireClient } from '../kit/wire-client.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'

it('a node that joins a running cluster knows all filters and retained messages', async () => {
  await using cluster = await startCluster()
  const root = unique('r')
  const filters = ['plain', '+/x', 'deep/#', 'dev[1]/+', 'back\\slash/+', '__proto__']
  const topics = ['plain', 'one/x', 'deep/a/b', 'dev[1]/a', 'back\\slash/a', '__proto__']
  const offline = await Promise.all(
    filters.map(async (filter, index) => {
      const clientId = unique('c')
      const node = [cluster.a, cluster.b, cluster.c][index % 3] ?? cluster.a
      await using client = await connectAt(node, { clientId, clean: false })
      await client.subscribe([`${root}/${filter}`, 1])
      await client.disconnect()
      return clientId
    }),
  )
  await using live = await connectAt(cluster.b)
  await live.subscribe([`${root}/#`, 1])
  await using early = await connectAt(cluster.a)
  await early.publish({ topic: `${root}/kept`, payload: 'kept', qos: 1, retain: true })
  expect(await live.receive(1)).toMatchObject([{ topic: `${root}/kept` }])

  const late = await cluster.join()
  await using publisher = await connectAt(late)
  await publisher.subscribe([`${root}/kept`, 1])
  expect(await publisher.receive(1)).toMatchObject([{ retain: true }])
  for (const topic of topics)
    await publisher.publish({ topic: `${root}/${topic}`, payload: topic, qos: 1 })
  const received = await live.receive(topics.length)
  expect(received.map(({ payload }) => payload.toString())).toEqual(topics)
  for (const [index, clientId] of offline.entries()) {
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    const [message] = await resumed.receive(1)
    expect(message?.payload.toString()).toBe(topics[index])
  }
})

it('a node that joins late and leaves again loses no message or session of the cluster', async () => {
  await using cluster = await startCluster()
  const clientId = unique('c')
  const topic = unique('t')
  const late = await cluster.join()
  await using client = await connectAt(late, { clientId, clean: false })
  await client.subscribe([topic, 1])
  await late[Symbol.asyncDispose]()
  expect(await client.untilClosed()).toEqual([])
  expect(late.closeReasons().at(-1)).toBe('shutting-down')
  await using publisher = await connectAt(cluster.a)
  await publisher.publish({ topic, payload: 'missed', qos: 1 })
  await using resumed = await connectAt(cluster.b, { clientId, clean: false })
  expect(await resumed.receive(1)).toMatchObject([{ payload: Buffer.from('missed') }])
})

it('a session without a client expires and leaves no key behind; a session with a connected client does not expire', async () => {
  await using cluster = await startCluster({ environment: { BREAKWATER_SESSION_EXPIRY: '2s' } })
  const topic = unique('t')
  const [staying, leaving] = [unique('staying'), unique('leaving')]
  await using connected = await connectAt(cluster.b, { clientId: staying, clean: false })
  await connected.subscribe([topic, 1])
  await using client = await connectAt(cluster.a, { clientId: leaving, clean: false })
  await client.subscribe([topic, 1])
  await client.disconnect()
  await using publisher = await connectAt(cluster.c)
  await publisher.publish({ topic, payload: 'never read', qos: 1 })
  expect(await connected.receive(1)).toHaveLength(1)
  expect(await keysOf(cluster, leaving)).not.toEqual([])

  await Promise.any(
    [cluster.a, cluster.b, cluster.c].map((node) =>
      node.logged(({ msg }) => msg === 'sessions expired'),
    ),
  )
  await expect.poll(() => keysOf(cluster, leaving)).toEqual([])
  await publisher.publish({ topic, payload: 'late', qos: 1 })
  expect(await connected.receive(1)).toHaveLength(1)
  expect(await keysOf(cluster, leaving)).toEqual([])
  await connected.disconnect()
  for (const [clientId, sessionPresent] of [
    [staying, true],
    [leaving, false],
  ] as const) {
    await using resumed = await WireClient.open(cluster.c)
    expect(await resumed.connect({ clientId, clean: false })).toMatchObject({ sessionPresent })
  }
})

/** Names of keys that belong to this client, and of those in which it is a member or a field. */
async function keysOf({ redis }: Cluster, clientId: string): Promise<string[]> {
  const client = new Redis(redis.url)
  const found: string[] = []
  for (const key of await client.keys(`${redis.prefix}*`)) {
    const type = await client.type(key)
    const members =
      type === 'set'
        ? await client.smembers(key)
        : type === 'zset'
          ? await client.zrange(key, 0, -1)
          : type === 'hash'
            ? await client.hkeys(key)
            : []
    if (key.includes(clientId) || members.includes(clientId)) found.push(key)
  }
  client.disconnect()
  return found
}
