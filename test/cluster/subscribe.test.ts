/** What a SUBACK at one node guarantees at all nodes, and which user a session belongs to. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'

const TRIES = 200

describe('a message that is published after SUBACK, at another node', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
  })

  it.each([
    { qos: 0, clean: true },
    { qos: 1, clean: true },
    { qos: 1, clean: false },
    { qos: 2, clean: false },
  ] as const)(
    `reaches its subscriber at once, ${TRIES} times: QoS $qos, clean $clean`,
    async ({ qos, clean }) => {
      await using subscriber = await connectAt(cluster.b, { clean })
      await using publisher = await connectAt(cluster.a)
      for (let index = 0; index < TRIES; index += 1) {
        const topic = unique('at-once')
        await subscriber.subscribe([topic, qos])
        await publisher.publish({ topic, qos, payload: 'x' })
        expect(await subscriber.receive(1)).toMatchObject([{ topic, qos }])
      }
    },
  )

  it('is not sent to nodes without a subscriber', async () => {
    await using subscriber = await connectAt(cluster.b)
    await using publisher = await connectAt(cluster.a)
    const topic = unique('one-node')
    await subscriber.subscribe([topic, 1])
    const before = await messagesIn(cluster.c)
    for (let index = 0; index < 20; index += 1) await publisher.publish({ topic, qos: 1 })
    await subscriber.receive(20)
    expect(await messagesIn(cluster.c)).toBe(before)
  })
})

describe.each(['memory', 'redis'] as const)('a session (%s)', (kind) => {
  it('is not resumed by another user: the node refuses that user and disturbs no client', async () => {
    await using redis = await startRedis()
    const where = kind === 'redis' ? { redisUrl: redis.url, redisPrefix: redis.prefix } : {}
    await using node = await startNode({ ...where, users: { ann: 'a', bob: 'b' } })
    const clientId = unique('shared')
    const session = { clientId, clean: false }
    const first = await connectAt(node, { ...session, username: 'ann', password: 'a' })
    await first.subscribe(['t', 1])
    await using other = await WireClient.open(node)
    const refusal = await other.connect({ ...session, username: 'bob', password: 'b' })
    expect(refusal.returnCode).toBe(2)
    await first.expectSilence()
    await first.disconnect()
    await using again = await WireClient.open(node)
    expect(
      (await again.connect({ ...session, username: 'bob', password: 'b', clean: true })).returnCode,
    ).toBe(2)
    await using back = await WireClient.open(node)
    const resumed = await back.connect({ ...session, username: 'ann', password: 'a' })
    expect(resumed).toMatchObject({ returnCode: 0, sessionPresent: true })
  })

  it('that is clean does not reserve its client id for its user: another user takes it over, at the same and at another node', async () => {
    await using redis = await startRedis()
    const where = kind === 'redis' ? { redisUrl: redis.url, redisPrefix: redis.prefix } : {}
    const options = { ...where, users: { ann: 'a', bob: 'b' }, allowAnonymous: true }
    await using here = await startNode(options)
    await using other = await startNode(options)
    const ann = { username: 'ann', password: 'a' }
    const bob = { username: 'bob', password: 'b' }
    for (const [there, clean] of [
      [here, true],
      [here, false],
      ...(kind === 'redis'
        ? ([
            [other, true],
            [other, false],
          ] as const)
        : []),
    ] as const) {
      const clientId = unique('shared')
      const will = { topic: unique('will'), payload: 'taken over', qos: 1 as const }
      await using watcher = await connectAt(here, ann)
      await watcher.subscribe([will.topic, 1])
      await using first = await connectAt(here, { clientId, ...ann, will })
      // An anonymous client takes it over from no user.
      await using nobody = await WireClient.open(there)
      expect((await nobody.connect({ clientId })).returnCode).toBe(2)
      await first.expectSilence()
      await using second = await connectAt(there, { clientId, ...bob, clean })
      await first.untilClosed()
      expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('taken over') }])
      await second.expectSilence()
      await using third = await WireClient.open(here)
      expect((await third.connect({ clientId, ...ann })).returnCode).toBe(clean ? 0 : 2)
    }
  })
})

async function messagesIn(node: { readonly adminPort: number }): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  const line = /^breakwater_bus_messages_total\{direction="in"\} (\d+)/m.exec(page)
  return Number(line?.[1] ?? 0)
}
