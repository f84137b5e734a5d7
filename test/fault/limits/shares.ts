/* What one client, one user and the cluster may take of what all share. */
import { setImmediate as immediate } from 'node:timers/promises'
import type { Limits } from '@breakwater/config'
import { bucketOf, keysWith, RETAINED_BUCKETS } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, vi } from 'vitest'
import { startNode } from '../../kit/node.ts'
import { startRedis } from '../../kit/redis/redis.ts'
import { WireClient } from '../../kit/wire-client.ts'
import * as wire from '../../kit/wire-encoder.ts'
import type { ConnectFields } from '../../kit/wire-encoder.ts'
import { MetricsPage } from '../metrics-page.ts'
import {
  connect,
  expectFiltersRefused,
  LISTEN_PLAIN as listen,
  type LimitDriver,
} from './driver.ts'

async function driveInboundQos2Bytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { inboundQos2BytesMax: 300 } })
  for (const clean of [true, false]) {
    await using client = await connect(node, { clean })
    const publish = async (packetId: number): Promise<void> => {
      client.send(wire.encodePublish({ topic: 't', payload: 'x'.repeat(91), qos: 2, packetId }))
      await client.expect('pubrec')
    }
    for (const packetId of [1, 2, 3]) await publish(packetId)
    client.send(wire.encodePubrel(1))
    await client.expect('pubcomp')
    await publish(4)
    client.send(wire.encodePublish({ topic: 't', payload: 'x'.repeat(91), qos: 2, packetId: 5 }))
    await client.expectClosed()
    await node.logged(({ reason }) => reason === 'receive-maximum-exceeded')
  }
  expect(node.closeReasons()).toEqual(Array(2).fill('receive-maximum-exceeded'))
  // However large: one is taken.
  await using client = await connect(node)
  const large = { topic: 't', payload: 'x'.repeat(5_000), qos: 2, packetId: 1 } as const
  client.send(wire.encodePublish(large))
  await client.expect('pubrec')
}

async function driveInboundQos2BytesOfUser(): Promise<void> {
  const users = { ann: 'a', bob: 'b' }
  await using node = await startNode({ listen, users, limits: { inboundQos2BytesPerUserMax: 300 } })
  const publish = { topic: 't', payload: 'x'.repeat(99), qos: 2 } as const
  const held: WireClient[] = []
  const connectAs = async (username: string, password: string): Promise<WireClient> => {
    const client = await connect(node, { username, password })
    held.push(client)
    return client
  }
  for (let count = 0; count < 2; count += 1) {
    const client = await connectAs('ann', 'a')
    client.send(wire.encodePublish({ ...publish, packetId: 1 }))
    await client.expect('pubrec')
  }
  const last = await connectAs('ann', 'a')
  for (const packetId of [1, 2]) last.send(wire.encodePublish({ ...publish, packetId }))
  await last.expect('pubrec')
  await last.expectClosed()
  expect(node.closeReasons()).toEqual(['receive-maximum-exceeded'])
  const other = await connectAs('bob', 'b')
  for (const packetId of [1, 2, 3]) {
    other.send(wire.encodePublish({ ...publish, packetId }))
    await other.expect('pubrec')
  }
  // What ended with its connection counts no more.
  const next = await connectAs('ann', 'a')
  next.send(wire.encodePublish({ ...publish, packetId: 1 }))
  await next.expect('pubrec')
  for (const client of held) await client.drop()
}

async function driveConnectionsOfUser(): Promise<void> {
  const users = { ann: 'a', bob: 'b' }
  await using node = await startNode({ listen, users, limits: { connectionsPerUserMax: 2 } })
  const ann = { username: 'ann', password: 'a' }
  await using first = await connect(node, { ...ann, clientId: 'first' })
  await using second = await connect(node, ann)
  await using third = await WireClient.open(node)
  expect((await third.connect({ ...ann, clientId: 'third' })).returnCode).toBe(3)
  await third.expectClosed()
  expect(node.closeReasons()).toEqual(['user-connections-full'])
  await using other = await connect(node, { username: 'bob', password: 'b' })
  // One that comes back before its old connection has ended takes its place.
  await using again = await connect(node, { ...ann, clientId: 'first' })
  await first.expectClosed()
  await second.disconnect()
  await node.logged(({ reason }) => reason === 'disconnected')
  await using next = await connect(node, ann)
  for (const client of [other, again, next]) await client.expectSilence()
}

async function driveSessionsOfUser(): Promise<void> {
  const users = { ann: 'a', bob: 'b' }
  await using node = await startNode({ listen, users, limits: { sessionsPerUserMax: 2 } })
  const ask = async (clientId: string, fields: ConnectFields = {}): Promise<number> => {
    await using client = await WireClient.open(node)
    const ann = { username: 'ann', password: 'a', clean: false }
    const { returnCode } = await client.connect({ clientId, ...ann, ...fields })
    if (returnCode === 0) await client.disconnect()
    return returnCode
  }
  expect([await ask('a'), await ask('b'), await ask('c')]).toEqual([0, 0, 3])
  expect(node.closeReasons()).toContain('user-sessions-full')
  expect([await ask('a'), await ask('c', { clean: true })]).toEqual([0, 0])
  expect(await ask('d', { username: 'bob', password: 'b' })).toBe(0)
  expect([await ask('b', { clean: true }), await ask('c'), await ask('b')]).toEqual([0, 0, 3])
}

/** Anonymous clients share one bound when their addresses cannot be verified. */
async function driveQueueBytesOfUser(): Promise<void> {
  await using node = await startNode({ listen, limits: { queueBytesPerUserMax: 1_200 } })
  const names = ['first', 'second', 'third']
  for (const clientId of names) {
    const device = await connect(node, { clientId, clean: false })
    await device.subscribe(['q', 1])
    await device.disconnect()
  }
  await using publisher = await connect(node)
  for (let count = 0; count < 12; count += 1)
    await publisher.publish({ topic: 'q', payload: 'x'.repeat(91), qos: 1 })
  const found: number[] = []
  for (const clientId of names) {
    await using device = await connect(node, { clientId, clean: false })
    device.send(wire.encodePingreq())
    let count = 0
    for (let next = await device.next(); next.type === 'publish'; next = await device.next())
      count += 1
    found.push(count)
  }
  expect(found).toEqual([12, 6, 4])
  expect((await MetricsPage.of(node)).dropped('queue-full', 1)).toBe(6 + 8)
}

/** Payload bytes of a message on a topic of 3 bytes that counts as this number of bytes. */
const ofBytes = (bytes: number): string => 'x'.repeat(bytes - 11)

/** Topics of 3 bytes that lie in one part of the store. */
const [A, B, C] = Array.from(
  { length: 99 },
  (_, index) => `t${String(index).padStart(2, '0')}`,
).filter((topic) => bucketOf(topic, RETAINED_BUCKETS) === 0) as [string, string, string]

/**
 * Two publishes fit, of A and B, and the third does not: its publisher is closed without a PUBACK, and no client gets
 * the message. Another user, and the will of the same user, show which user the bound applies to.
 */
async function driveRetained(
  limits: Partial<Limits>,
  { bytes, others }: { bytes: number; others: 'bound' | 'free' },
): Promise<void> {
  const users = { ann: 'a', bob: 'b', eve: 'e' }
  await using node = await startNode({ listen, users, limits })
  await using subscriber = await connect(node, { username: 'eve', password: 'e' })
  await subscriber.subscribe(['#', 0])
  const ann = { username: 'ann', password: 'a' }
  const payload = ofBytes(bytes)
  await using publisher = await connect(node, { ...ann, will: { topic: C, payload, retain: true } })
  for (const topic of [A, B]) {
    await publisher.publish({ topic, payload, qos: 1, retain: true })
    await subscriber.expect('publish')
  }
  publisher.send(wire.encodePublish({ topic: C, payload, qos: 1, packetId: 9, retain: true }))
  await publisher.expectClosed()
  await node.logged(({ reason }) => reason === 'retained-full')
  // Not what it published, but its will.
  expect(await subscriber.expect('publish')).toMatchObject({ topic: C, qos: 0 })
  expect((await MetricsPage.of(node)).dropped('retained-full', 0)).toBe(1)
  await using other = await connect(node, { username: 'bob', password: 'b' })
  other.send(wire.encodePublish({ topic: C, payload, qos: 1, packetId: 1, retain: true }))
  if (others === 'bound') await other.expectClosed()
  else await other.expect('puback')
  await using again = await connect(node, ann)
  await again.publish({ topic: A, payload: '', qos: 1, retain: true })
  await again.publish({ topic: C, payload, qos: 1, retain: true })
  await using late = await connect(node, { username: 'eve', password: 'e' })
  await late.subscribe(['#', 0])
  const found = [await late.expect('publish'), await late.expect('publish')]
  expect(found.map(({ topic }) => topic).toSorted()).toEqual([B, C])
  await late.expectSilence()
}

/** A client whose filters are far more bytes than the log may have; the nodes know its last ones all the same. */
async function driveClusterLog(): Promise<void> {
  await using redis = await startRedis()
  const settings = { redisUrl: redis.url, redisPrefix: redis.prefix }
  const clusterLogBytesMax = 65_536
  await using a = await startNode({ listen, ...settings, limits: { clusterLogBytesMax } })
  await using b = await startNode({ listen, ...settings, limits: { clusterLogBytesMax } })
  await using client = await connect(a)
  for (let round = 0; round < 10; round += 1) {
    const filters = Array.from(
      { length: 20 },
      (_, index) => `${round}/${index}/${'x'.repeat(1_000)}`,
    )
    await client.subscribe(...filters.map((filter): [string, 0] => [filter, 0]))
    await client.unsubscribe(...filters)
  }
  await client.subscribe(['last', 1])
  const admin = new Redis(redis.url)
  const logBytes = async (): Promise<number> => {
    const entries = await admin.xrange(keysWith(redis.prefix).clusterLog, '-', '+')
    return entries.reduce((sum, [, [, entry = '']]) => sum + Buffer.byteLength(entry), 0)
  }
  // It is trimmed with the beats of the nodes.
  await vi.waitFor(async () => expect(await logBytes()).toBeLessThanOrEqual(clusterLogBytesMax), {
    timeout: 30_000,
  })
  expect(await logBytes()).toBeGreaterThan(20_000)
  admin.disconnect()
  await using publisher = await connect(b)
  await publisher.publish({ topic: 'last', payload: 'heard', qos: 1 })
  expect(String((await client.expect('publish')).payload)).toBe('heard')
}

const group = (name: number | string): [string, 0] => [`$share/${name}/t`, 0]

async function driveGroupsOfClient(): Promise<void> {
  await using node = await startNode({ listen, limits: { sharedGroupsPerClientMax: 2 } })
  await using client = await connect(node, { clean: false })
  expect(await client.subscribe(group(1), group(2), group(3), ['t', 0])).toEqual([0, 0, 0x80, 0])
  expect(await client.subscribe(group(1), group(3))).toEqual([0, 0x80])
  await client.unsubscribe('$share/1/t')
  expect(await client.subscribe(group(3), group(4))).toEqual([0, 0x80])
  await using other = await connect(node)
  expect(await other.subscribe(group(4))).toEqual([0])
  await expectFiltersRefused(node, 'groups-full', 3)
}

async function driveGroupsOfUser(): Promise<void> {
  await using redis = await startRedis()
  const users = { ann: 'a', bob: 'b' }
  const settings = { redisUrl: redis.url, redisPrefix: redis.prefix, users }
  const limits = { sharedGroupsPerUserMax: 2 }
  await using a = await startNode({ listen, ...settings, limits })
  await using b = await startNode({ listen, ...settings, limits })
  const ann = { username: 'ann', password: 'a' }
  await using first = await connect(a, ann)
  expect(await first.subscribe(group(1))).toEqual([0])
  await using second = await connect(b, { ...ann, clean: false, clientId: 'second' })
  const twice = [group(2), group(3), group(3), ['t', 0]] as const
  expect(await second.subscribe(...twice)).toEqual([0, 0x80, 0x80, 0])
  expect(await second.subscribe(group(1), group(2))).toEqual([0, 0])
  await expectFiltersRefused(b, 'user-groups-full', 1)
  await using other = await connect(a, { username: 'bob', password: 'b' })
  expect(await other.subscribe(group(3))).toEqual([0])
  await second.unsubscribe('$share/2/t')
  // Its set has heard of that when its group is gone.
  const admin = new Redis(redis.url)
  const key = keysWith(redis.prefix).userGroups('uann')
  while ((await admin.zrange(key, 0, -1)).length > 1) await immediate()
  admin.disconnect()
  expect(await first.subscribe(group(4), group(5))).toEqual([0, 0x80])
}

export const shareLimits = {
  sharedGroupsPerClientMax: driveGroupsOfClient,
  sharedGroupsPerUserMax: driveGroupsOfUser,
  clusterLogBytesMax: driveClusterLog,
  retainedMessagesMax: () =>
    driveRetained({ retainedMessagesMax: 32 }, { bytes: 20, others: 'bound' }),
  retainedBytesMax: () =>
    driveRetained({ retainedBytesMax: 16_384 }, { bytes: 500, others: 'bound' }),
  retainedMessagesPerUserMax: () =>
    driveRetained({ retainedMessagesPerUserMax: 32 }, { bytes: 20, others: 'free' }),
  retainedBytesPerUserMax: () =>
    driveRetained({ retainedBytesPerUserMax: 16_384 }, { bytes: 500, others: 'free' }),
  sessionsPerUserMax: driveSessionsOfUser,
  queueBytesPerUserMax: driveQueueBytesOfUser,
  connectionsPerUserMax: driveConnectionsOfUser,
  inboundQos2BytesPerUserMax: driveInboundQos2BytesOfUser,
  inboundQos2BytesMax: driveInboundQos2Bytes,
} as const satisfies Readonly<Record<string, LimitDriver>>
