/** Shared subscriptions over two nodes: each message goes to one member of each group. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import type { WireClient } from '../kit/wire-client.ts'
import type { QoS } from '../kit/wire-encoder.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'
import { drainAll, Member } from './shared-member.ts'

const STRATEGIES = ['local', 'random', 'hash-client', 'hash-topic'] as const
const MESSAGES = 60
const LARGE_BYTES = 200_000
const LARGE_MAX = 400

describe.each(STRATEGIES)(
  'shared subscriptions over two nodes with the strategy %s:',
  (strategy) => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await startCluster({ environment: { BREAKWATER_SHARED_STRATEGY: strategy } })
    })
    afterAll(() => cluster[Symbol.asyncDispose]())

    it.each([0, 1, 2] as const)(
      'each QoS %i message reaches one of four members at two nodes',
      async (qos) => {
        const topic = unique('t')
        const members = await Promise.all(
          [cluster.a, cluster.a, cluster.b, cluster.b].map((node) =>
            Member.join(node, `$share/g/${topic}/+`, qos),
          ),
        )
        await using publisher = await connectAt(cluster.a)
        await publishAll(publisher, topic, MESSAGES, qos)
        expect(await drainAll(members, MESSAGES)).toEqual(numbers(MESSAGES))
        for (const member of members) await member.settled(publisher)
        expect(members.flatMap(({ payloads }) => payloads)).toHaveLength(MESSAGES)
        for (const member of members) await member.leave()
      },
    )

    it.each([0, 1] as const)(
      'QoS %i messages go to the members that the strategy names',
      async (qos) => {
        const topic = unique('t')
        const members = await Promise.all(
          [cluster.a, cluster.a, cluster.b, cluster.b].map((node) =>
            Member.join(node, `$share/g/${topic}/+`, qos),
          ),
        )
        const publisherId = unique('p')
        // One after the other from two nodes, one topic or one client.
        for (const [index, node] of [cluster.a, cluster.b].entries()) {
          const fields = strategy === 'hash-client' ? { clientId: publisherId } : {}
          await using publisher = await connectAt(node, fields)
          for (let count = 0; count < MESSAGES; count += 1) {
            const level = strategy === 'hash-topic' ? 'same' : String(count)
            const payload = String(index * MESSAGES + count)
            await publisher.publish({ topic: `${topic}/${level}`, payload, qos })
          }
          await publisher.disconnect()
        }
        expect(await drainAll(members, 2 * MESSAGES)).toEqual(numbers(2 * MESSAGES))
        const busy = members.filter(({ payloads }) => payloads.length > 0)
        const [atA, alsoAtA] = members.map(({ payloads }) => payloads.map(Number))
        if (strategy.startsWith('hash')) expect(busy).toHaveLength(1)
        else expect(busy).toHaveLength(4)
        if (strategy === 'local')
          expect([...(atA ?? []), ...(alsoAtA ?? [])].every((number) => number < MESSAGES)).toBe(
            true,
          )
        for (const member of members) await member.leave()
      },
    )

    it.each([0, 1] as const)(
      'a QoS %i message from a node without members reaches one member',
      async (qos) => {
        const topic = unique('t')
        const members = await Promise.all(
          [cluster.a, cluster.b].map((node) => Member.join(node, `$share/g/${topic}/+`, qos)),
        )
        await using publisher = await connectAt(cluster.c)
        await publishAll(publisher, topic, MESSAGES, qos)
        expect(await drainAll(members, MESSAGES)).toEqual(numbers(MESSAGES))
        for (const member of members) await member.leave()
      },
    )
  },
)

it('a QoS 0 message for a shared subscription is passed on to another node when the chosen member reads nothing', async () => {
  await using cluster = await startCluster()
  const topic = unique('t')
  const stuck = await Member.join(cluster.a, `$share/g/${topic}`, 0)
  stuck.client.socket.pause()
  const member = await Member.join(cluster.b, `$share/g/${topic}`, 0)
  await using publisher = await connectAt(cluster.c)
  const rest = 'x'.repeat(LARGE_BYTES)
  let count = 0
  // Every other one is for the first node, until it takes no more.
  for (; count < LARGE_MAX && member.payloads.length < count / 2 + 10; count += 1) {
    await publisher.publish({ topic, payload: `${count} ${rest}` })
    await member.settled(publisher)
  }
  expect(count).toBeLessThan(LARGE_MAX)
  // A set: a group promises no order, and what the first node passes on takes another way.
  const last = member.payloads.slice(-10).map((payload) => Number.parseInt(payload, 10))
  expect(last.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 10 }, (_, index) => count - 10 + index),
  )
  await stuck.drop()
  await member.leave()
})

/** Payloads 0 to count - 1, each to a topic of its own. */
async function publishAll(
  publisher: WireClient,
  topic: string,
  count: number,
  qos: QoS,
): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await publisher.publish({ topic: `${topic}/${index}`, payload: String(index), qos })
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index))
}
