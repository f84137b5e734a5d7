/** Shared subscriptions over two nodes: each message to one member of each group. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import type { WireClient } from '../kit/wire-client.ts'
import type { QoS } from '../kit/wire-encoder.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'
import { drainAll, Member } from './shared-member.ts'

const STRATEGIES = ['local', 'random', 'hash-client', 'hash-topic'] as const
const MESSAGES = 60

describe.each(STRATEGIES)('with the strategy %s', (strategy) => {
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

  it.each([0, 1] as const)('one from a node without members reaches one, QoS %i', async (qos) => {
    const topic = unique('t')
    const members = await Promise.all(
      [cluster.a, cluster.b].map((node) => Member.join(node, `$share/g/${topic}/+`, qos)),
    )
    await using publisher = await connectAt(cluster.c)
    await publishAll(publisher, topic, MESSAGES, qos)
    expect(await drainAll(members, MESSAGES)).toEqual(numbers(MESSAGES))
    for (const member of members) await member.leave()
  })
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
