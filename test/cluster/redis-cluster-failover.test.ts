/** A master of a Redis Cluster is lost and its replica is promoted: two nodes go on without intervention. */
import { keysWith, slotOf } from '@breakwater/redis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import {
  startRedisClusterServers,
  type RedisClusterServers,
} from '../kit/redis/redis-cluster-servers.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil } from './cluster.ts'

const MARKER = 'the end'
const MESSAGES = 300
/** Time enough for a failover. */
const limits = { storeTimeoutMs: 30_000 }
const patient = { timeoutMs: 40_000 }

it.skipIf(findProgram('redis-server') === undefined)(
  'the loss of a Redis Cluster master under load delays publishers, and loses no message that its replica has',
  async () => {
    await using redis = await startRedisClusterServers({ replicas: 1 })
    const settings = { limits, redisUrl: redis.url, redisPrefix: redis.prefix }
    await using a = await startNode(settings)
    await using b = await startNode(settings)
    await expectReplicatedAck(settings)
    await expectPlannedChange(redis, a, b)
    const topic = unique('t')
    const keys = keysWith(redis.prefix)
    // The log goes on at the replica; of the sessions one goes with it, and one does not.
    const slot = slotOf(keys.clusterLog)
    const clientIds = [await clientIdAt(redis, slot, true), await clientIdAt(redis, slot, false)]
    for (const clientId of clientIds) {
      await using away = await connectAt(b, { clientId, clean: false })
      await away.subscribe([topic, 1])
      await away.disconnect()
    }
    await using live = await connectAt(b, { clientId: unique('l'), clean: false }, patient)
    await live.subscribe([topic, 1])
    const received = receiveUntil(live, MARKER)
    await using publisher = await connectAt(a, {}, patient)
    for (let index = 0; index < MESSAGES; index += 1) {
      const packetId = publisher.nextPacketId()
      publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
      if (index % 50 === 49)
        for (let taken = 0; taken < 50; taken += 1) await publisher.expect('puback')
      if (index === MESSAGES / 2 - 1) await redis.killMaster(slot)
    }
    await redis.failedOver(slot)
    await publisher.publish({ topic, payload: MARKER, qos: 1 })
    const all = Array.from({ length: MESSAGES }, (_, index) => index)
    expect([...new Set((await received).map(Number))]).toEqual(all)
    for (const clientId of clientIds) {
      await using resumed = await connectAt(a, { clientId, clean: false }, patient)
      expect([...new Set((await receiveUntil(resumed, MARKER)).map(Number))]).toEqual(all)
    }
    // What is new crosses nodes, too.
    const later = unique('later')
    await live.subscribe([later, 1])
    await publisher.publish({ topic: later, payload: 'heard', qos: 1 })
    expect(await live.receive(1)).toMatchObject([{ topic: later }])
    for (const node of [a, b]) expect(node.closeReasons()).not.toContain('store-unavailable')
  },
  120_000,
)

/** A node that asks for a replica with each acknowledgement gets it from whichever master it is. */
async function expectReplicatedAck(settings: NodeOptions): Promise<void> {
  const environment = { BREAKWATER_ACK: 'replicated:1' }
  await using strict = await startNode({ ...settings, environment })
  const topic = unique('t')
  const clientIds = Array.from({ length: 5 }, () => unique('s'))
  for (const clientId of clientIds) {
    await using away = await connectAt(strict, { clientId, clean: false }, patient)
    await away.subscribe([topic, 1])
    await away.disconnect()
  }
  await using publisher = await connectAt(strict, {}, patient)
  await publisher.publish({ topic, payload: 'm', qos: 1, retain: true })
  for (const clientId of clientIds) {
    await using back = await connectAt(strict, { clientId, clean: false }, patient)
    expect(await back.receive(1)).toMatchObject([{ topic }])
  }
}

/** Masters that are replaced on command, one after the other, lose no message and duplicate none. */
async function expectPlannedChange(
  redis: RedisClusterServers,
  a: TestNode,
  b: TestNode,
): Promise<void> {
  const topic = unique('t')
  await using live = await connectAt(b, {}, patient)
  await live.subscribe([topic, 1])
  const received = receiveUntil(live, MARKER)
  await using publisher = await connectAt(a, {}, patient)
  let changed = false
  const changing = redis.changePlaces().then(() => (changed = true))
  let sent = 0
  for (; !changed || sent < MESSAGES; sent += 1)
    await publisher.publish({ topic, payload: String(sent), qos: 1 })
  await changing
  await publisher.publish({ topic, payload: MARKER, qos: 1 })
  expect((await received).map(Number)).toEqual(Array.from({ length: sent }, (_, index) => index))
}

/** A client id whose session is, or is not, at the master of this slot. */
async function clientIdAt(
  redis: RedisClusterServers,
  slot: number,
  wanted: boolean,
): Promise<string> {
  const keys = keysWith(redis.prefix)
  const master = await redis.masterOf(slot)
  for (;;) {
    const clientId = unique('s')
    const own = await redis.masterOf(slotOf(keys.session(clientId)))
    if ((own === master) === wanted) return clientId
  }
}
