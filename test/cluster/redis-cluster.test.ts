/** Two nodes on a Redis Cluster: everything that they exchange, and slots that move meanwhile. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keysWith, slotOf } from '@breakwater/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import {
  startRedisClusterServers,
  type RedisClusterServers,
} from '../kit/redis/redis-cluster-servers.ts'
import { startWaitingNode } from '../kit/waiting-node.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, receiveUntil } from './cluster.ts'

const MARKER = 'the end'
const MESSAGES = 600
const SESSIONS = 6
const patient = { timeoutMs: 30_000 }
const limits = { storeTimeoutMs: 30_000 }

describe.skipIf(findProgram('redis-server') === undefined)('two nodes on a Redis Cluster', () => {
  let redis: RedisClusterServers
  let a: TestNode
  let b: TestNode
  beforeAll(async () => {
    redis = await startRedisClusterServers()
    const wrapKey = join(temporaryDirectory('wrap-'), 'wrap.key')
    writeFileSync(wrapKey, randomBytes(32))
    const environment = { BREAKWATER_TLS_TICKET_WRAP_KEY: wrapKey }
    const settings = { redisUrl: redis.url, redisPrefix: redis.prefix, limits, environment }
    a = await startNode(settings)
    b = await startNode(settings)
  }, 60_000)
  afterAll(async () => {
    await a[Symbol.asyncDispose]()
    await b[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  it('share one TLS ticket key', async () => {
    const lines = [a, b].map((node) => node.logged(({ msg }) => msg === 'TLS ticket key rotated'))
    const [first, second] = await Promise.all(lines)
    expect(first?.['from']).toEqual(second?.['from'])
  })

  it('deliver messages of every QoS to each other, keep sessions, and resume sessions of the other node', async () => {
    const [topic, clientId] = [unique('t'), unique('c')]
    await using publisher = await connectAt(a, { clientId: unique('p'), clean: false })
    await using clean = await connectAt(b)
    await clean.subscribe([`${topic}/+`, 2])
    await using first = await connectAt(b, { clientId, clean: false })
    await first.subscribe([`${topic}/+`, 2])
    for (const qos of [0, 1, 2] as const)
      await publisher.publish({ topic: `${topic}/${qos}`, payload: 'live', qos })
    for (const client of [clean, first])
      expect(new Set((await client.receive(3)).map(({ qos }) => qos))).toEqual(new Set([0, 1, 2]))
    await first.disconnect()
    for (const qos of [1, 2] as const)
      await publisher.publish({ topic: `${topic}/${qos}`, payload: 'queued', qos })
    await using second = await WireClient.open(a)
    expect(await second.connect({ clientId, clean: false })).toMatchObject({ sessionPresent: true })
    expect((await second.receive(2)).map(({ qos }) => qos)).toEqual([1, 2])
    await using third = await connectAt(b, { clientId, clean: false })
    await second.untilClosed()
    expect(a.closeReasons()).toContain('taken-over')
    await publisher.publish({ topic: `${topic}/1`, payload: 'after', qos: 1 })
    expect(await third.receive(1)).toMatchObject([{ payload: Buffer.from('after'), dup: false }])
  })

  it('keep retained messages and replay them, to clean and to stored sessions', async () => {
    const topic = unique('t')
    await using publisher = await connectAt(a)
    for (let index = 0; index < 20; index += 1)
      await publisher.publish({ topic: `${topic}/${index}`, payload: 'kept', qos: 1, retain: true })
    for (let index = 0; index < 5; index += 1)
      await publisher.publish({ topic: `${topic}/${index}`, payload: '', qos: 1, retain: true })
    for (const clean of [true, false]) {
      await using late = await connectAt(b, { clientId: unique('c'), clean })
      await late.subscribe([`${topic}/#`, 1])
      const messages = await late.receive(15)
      expect(new Set(messages.map((message) => message.topic)).size).toBe(15)
      expect(messages.every(({ retain }) => retain)).toBe(true)
    }
  })

  it('deliver the will of a client of the other node, and distribute messages among members of a shared subscription', async () => {
    const topic = unique('t')
    await using watcher = await connectAt(a)
    await watcher.subscribe([`${topic}/will`, 1])
    const will = { topic: `${topic}/will`, payload: 'gone', qos: 1 as const }
    await using doomed = await connectAt(b, { clientId: unique('c'), will })
    await doomed.drop()
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('gone') }])
    const members = await Promise.all([a, a, b, b].map((node) => connectAt(node)))
    for (const member of members) await member.subscribe([`$share/g/${topic}/s/+`, 1])
    const got = members.map((member) => receiveUntil(member, MARKER))
    await using publisher = await connectAt(a)
    for (let index = 0; index < 100; index += 1)
      await publisher.publish({ topic: `${topic}/s/${index}`, payload: String(index), qos: 1 })
    // A last message for each member, outside of the group.
    for (const member of members) await member.subscribe([`${topic}/end`, 1])
    await publisher.publish({ topic: `${topic}/end`, payload: MARKER, qos: 1 })
    const all = (await Promise.all(got)).flat().map(Number)
    expect(all.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, index) => index))
    for (const member of members) await member.disconnect()
  })

  it('lose and duplicate no message while slots move under load', async () => {
    const topic = unique('t')
    const keys = keysWith(redis.prefix)
    const clientIds = Array.from({ length: SESSIONS }, () => unique('s'))
    for (const clientId of clientIds) {
      await using client = await connectAt(b, { clientId, clean: false })
      await client.subscribe([topic, 1])
      await client.disconnect()
    }
    await using live = await connectAt(b, {}, patient)
    await live.subscribe([topic, 1])
    const heard = receiveAll(live)
    await using publisher = await connectAt(a, {}, patient)
    const moved = [
      ...clientIds.slice(0, 3).map((clientId) => keys.session(clientId)),
      keys.inbox(b.id),
      keys.clusterLog,
      keys.notices(a.id),
    ].map(slotOf)
    const moving = (async () => {
      // There and on: each slot has two new masters.
      for (let round = 0; round < 2; round += 1)
        for (const slot of moved) await redis.moveSlot(slot)
      return true
    })()
    let sent = 0
    // As long as slots move, and MESSAGES at least.
    for (let done = false; !done || sent < MESSAGES;) {
      for (let index = 0; index < 20; index += 1, sent += 1) {
        const packetId = publisher.nextPacketId()
        publisher.send(encodePublish({ topic, payload: String(sent), qos: 1, packetId }))
      }
      for (let index = 0; index < 20; index += 1) await publisher.expect('puback')
      done = await Promise.race([
        moving,
        new Promise<false>((resolve) => setImmediate(resolve, false)),
      ])
    }
    await publisher.publish({ topic, payload: MARKER, qos: 1 })
    const all = Array.from({ length: sent }, (_, index) => index)
    expect(await heard).toEqual(all)
    for (const [index, clientId] of clientIds.entries()) {
      await using client = await connectAt(
        index % 2 === 0 ? a : b,
        { clientId, clean: false },
        patient,
      )
      expect(await receiveAll(client)).toEqual(all)
    }
    for (const node of [a, b]) expect(node.closeReasons()).not.toContain('store-unavailable')
    // Notices find their node where its channel lies now.
    const [clientId = ''] = clientIds
    await using first = await connectAt(a, { clientId, clean: false }, patient)
    await using second = await connectAt(b, { clientId, clean: false }, patient)
    await first.untilClosed()
    expect(a.closeReasons()).toContain('taken-over')
    await second.expectSilence()
  }, 120_000)

  it('hold writes to a half-moved slot in order, without delaying writes to other slots', async () => {
    const [topic, other, clientId] = [unique('t'), unique('t'), unique('s')]
    await using away = await connectAt(b, { clientId, clean: false })
    await away.subscribe([topic, 1])
    await away.disconnect()
    await using watcher = await connectAt(b)
    await watcher.subscribe([other, 1])
    await using publisher = await connectAt(a, {}, patient)
    await publisher.publish({ topic, payload: '0', qos: 1 })
    const all = Array.from({ length: 50 }, (_, index) => index)
    await redis.moveSlot(slotOf(keysWith(redis.prefix).session(clientId)), async () => {
      for (const index of all.slice(1)) {
        const packetId = publisher.nextPacketId()
        publisher.send(encodePublish({ topic, payload: String(index), qos: 1, packetId }))
      }
      await using another = await connectAt(a)
      await another.publish({ topic: other, payload: 'goes on', qos: 1 })
      expect(await watcher.receive(1)).toHaveLength(1)
    })
    for (const _ of all.slice(1)) await publisher.expect('puback')
    await publisher.publish({ topic, payload: MARKER, qos: 1 })
    await using back = await connectAt(a, { clientId, clean: false }, patient)
    expect(await receiveAll(back)).toEqual(all)
  }, 120_000)
})

describe.skipIf(findProgram('redis-server') === undefined)('a node refuses to start', () => {
  it('with redis:// at a Redis Cluster, and with redis-cluster:// at a single Redis', async () => {
    await using lone = await startRedisProcess([])
    const { host } = new URL(lone.url)
    await expect(startNode({ redisUrl: `redis-cluster://${host}` })).rejects.toThrow(
      /^BREAKWATER_REDIS_URL: redis-cluster:\/\/[\d.:]+: is no Redis Cluster: use redis:\/\/ or/,
    )
    await using member = await startRedisProcess(['--cluster-enabled', 'yes'])
    await expect(startNode({ redisUrl: member.url })).rejects.toThrow(
      /^BREAKWATER_REDIS_URL: .*is a node of a Redis Cluster: use redis-cluster:\/\//,
    )
    const url = `redis-cluster://${new URL(member.url).host}`
    await using waiting = await startWaitingNode({ redisUrl: url })
    const line = await waiting.logged(({ fault }) => fault === 'cluster')
    expect(line['error']).toMatch(/the cluster is not whole: its state is fail, 0 of 16384 slots/)
  })
})

/** In the order of their first arrival; one that comes again has to say so. */
async function receiveAll(client: WireClient): Promise<number[]> {
  const numbers: number[] = []
  const seen = new Set<string>()
  for (;;) {
    const { qos, packetId, payload, dup } = await client.take('publish')
    if (qos === 1) client.send(encodePuback(packetId))
    const text = payload.toString()
    if (text === MARKER) return numbers
    if (seen.has(text)) expect(dup).toBe(true)
    else numbers.push(Number(text))
    seen.add(text)
  }
}
