/** With too few replicas nothing is acknowledged and the log says so, until there are enough replicas. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

const patient = { timeoutMs: 60_000 }
const PUBREL_1 = Buffer.from([0x62, 2, 0, 1])

it('at level replicated:1 no publish is acknowledged without a replica, and every publish is acknowledged with one', async (context) => {
  skipWithout(context, 'redis-server')
  await using redis = await startRedisProcess(['--repl-diskless-sync-delay', '0'])
  const environment = { BREAKWATER_ACK: 'replicated:1' }
  const limits = { storeTimeoutMs: 3_000 }
  await using node = await startNode({ redisUrl: redis.url, environment, limits })
  const retained = { topic: unique('t'), payload: 'm', retain: true, packetId: 1 }
  const saysTo = async (...frames: Uint8Array[]): Promise<string[]> => {
    await using client = await connectAt(node, {}, patient)
    client.send(...frames)
    return (await client.untilClosed()).map(({ type }) => type)
  }
  const persistent = async (): Promise<number> => {
    await using client = await WireClient.open(node, patient)
    return (await client.connect({ clientId: unique('p'), clean: false })).returnCode
  }
  const said = await Promise.all([
    saysTo(encodePublish({ ...retained, qos: 1 })),
    // Of a clean session: stored by PUBCOMP.
    saysTo(encodePublish({ ...retained, qos: 2 }), PUBREL_1),
    persistent(),
  ])
  expect(said).toEqual([[], ['pubrec'], 3])
  expect(node.closeReasons()).toEqual(Array.from({ length: 3 }, () => 'store-unavailable'))
  const page = await MetricsPage.of(node)
  expect(page.value('breakwater_store_unconfirmed_total')).toBeGreaterThan(0)
  const warned = node.logs().filter(({ msg }) => /does not confirm writes/.test(String(msg)))
  expect(warned).toMatchObject([{ level: 'warn', why: '0 of 1 replicas have it' }])
  // What asks for nothing of Redis goes on.
  await using live = await connectAt(node, {}, patient)
  await live.publish({ topic: 'plain', payload: 'm', qos: 1 })

  const { port } = new URL(redis.url)
  await using replica = await startRedisProcess(['--replicaof', '127.0.0.1', port])
  expect(replica.url).not.toBe(redis.url)
  await expect.poll(() => isAcknowledged(node), { timeout: 60_000 }).toBe(true)
  await node.logged(({ msg }) => msg === 'Redis confirms writes again')
}, 120_000)

async function isAcknowledged(node: TestNode): Promise<boolean> {
  await using client = await connectAt(node, {}, patient)
  const published = client.publish({ topic: unique('t'), payload: 'm', retain: true, qos: 1 })
  return await published.then(
    () => true,
    () => false,
  )
}
