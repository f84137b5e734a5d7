import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import { Authority } from '@breakwater/broker'
import type { Limits } from '@breakwater/config'
import { startNode, type TestNode } from '../../kit/node.ts'
import { startRedisProxy } from '../../kit/redis/redis-proxy.ts'
import { startRedis } from '../../kit/redis/redis.ts'
import { temporaryDirectory } from '../../kit/temporary-directory.ts'
import { WireClient } from '../../kit/wire-client.ts'
import * as wire from '../../kit/wire-encoder.ts'
import { PacketFlow } from '../packet-flow.ts'
import {
  connect,
  expectClosedWith,
  expectReadPauses,
  LISTEN_PLAIN as listen,
  type LimitDriver,
} from './driver.ts'

async function elapsedMs(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

async function driveHandshake(): Promise<void> {
  await using node = await startNode({ limits: { handshakeTimeoutMs: 300 } })
  const socket = connectTcp(node.tlsPort, node.host)
  socket.on('error', () => undefined)
  socket.resume()
  expect(await elapsedMs(once(socket, 'close'))).toBeGreaterThan(250)
  await node.logged(({ reason }) => reason === 'handshake-timeout')
  expect(node.closeReasons()).toEqual(['handshake-timeout'])
}

async function driveConnect(): Promise<void> {
  await using node = await startNode({ listen, limits: { connectTimeoutMs: 300 } })
  await using client = await WireClient.open(node)
  // All but the last byte of a CONNECT.
  client.send(wire.encodeConnect({ clientId: 'late' }).subarray(0, -1))
  expect(await elapsedMs(expectClosedWith(node, client, 'connect-timeout'))).toBeGreaterThan(250)
}

async function driveStall(): Promise<void> {
  await using node = await startNode({ listen, limits: { stallTimeoutMs: 500 } })
  await using client = await PacketFlow.connect(node, { clientId: 'stalled' })
  client.send(wire.encodeSubscribe(1, [['t', 0]]))
  client.stopReading()
  await using publisher = await connect(node)
  const payload = Buffer.alloc(100_000)
  // More than the buffers of two sockets hold.
  for (let count = 0; count < 150; count += 1)
    await publisher.publish({ topic: 't', payload, qos: 1 })
  await node.logged(({ reason }) => reason === 'stalled')
  expect(node.closeReasons()).toEqual(['stalled'])
}

/** A node on a Redis of its own, and a way to hold up all writes there. */
async function onRedis(
  limits: Partial<Limits>,
  use: (node: TestNode, hold: () => Promise<void>, goOn: () => Promise<void>) => Promise<void>,
): Promise<void> {
  // With arguments the server belongs to this test alone, so no other test is delayed.
  await using redis = await startRedis({ args: ['--save', ''] })
  const database = new Redis(redis.url)
  try {
    await using node = await startNode({
      listen,
      limits,
      redisUrl: redis.url,
      redisPrefix: redis.prefix,
    })
    await use(
      node,
      async () => void (await database.call('CLIENT', 'PAUSE', '20000', 'WRITE')),
      async () => void (await database.call('CLIENT', 'UNPAUSE')),
    )
  } finally {
    database.disconnect()
  }
}

const publishFrame = (packetId: number): Buffer =>
  wire.encodePublish({ topic: 't', qos: 1, retain: true, packetId })

async function driveInbound(): Promise<void> {
  await onRedis({ inboundMessagesMax: 3 }, async (node, hold, goOn) => {
    await using client = await connect(node)
    await using other = await connect(node)
    await hold()
    client.send(publishFrame(1), publishFrame(2), wire.encodePingreq())
    // Two wait: it is still read.
    await client.expect('pingresp')
    client.send(publishFrame(3), wire.encodePingreq())
    // Three: its PINGREQ is not. The node has had its turns since.
    await other.expectSilence()
    await delay(100)
    await other.expectSilence()
    expect(client.socket.bytesRead).toBe(6)
    await expectReadPauses(node, 'inbound-full')
    await goOn()
    for (const packetId of [1, 2, 3])
      expect(await client.take('puback')).toEqual({ type: 'puback', packetId })
    await client.take('pingresp')
  })
}

async function driveTakeOver(): Promise<void> {
  await onRedis({ takeOverTimeoutMs: 300 }, async (node, hold, goOn) => {
    await using first = await connect(node, { clientId: 'same' })
    await hold()
    first.send(publishFrame(1))
    await using second = await WireClient.open(node)
    second.send(wire.encodeConnect({ clientId: 'same' }))
    // It has something under way that does not end: it is waited for, and then closed as taken over.
    const waitedMs = await elapsedMs(first.expectClosed())
    expect(waitedMs).toBeGreaterThan(250)
    expect(node.closeReasons()).toEqual(['taken-over'])
    await goOn()
    expect(await second.expect('connack')).toMatchObject({ returnCode: 0 })
  })
}

async function driveStore(): Promise<void> {
  await onRedis({ storeTimeoutMs: 500 }, async (node, hold, goOn) => {
    await using client = await connect(node)
    await hold()
    client.send(publishFrame(1))
    // Nothing is acknowledged.
    expect(await elapsedMs(expectClosedWith(node, client, 'store-unavailable'))).toBeGreaterThan(
      450,
    )
    await goOn()
    await using after = await connect(node)
    await after.publish({ topic: 't', qos: 1 })
  })
}

async function driveViewLease(): Promise<void> {
  await onRedis({ viewLeaseMs: 200 }, async (node, hold, goOn) => {
    await using client = await connect(node)
    const publish = wire.encodePublish({ topic: 'nobody', qos: 1, packetId: 1 })
    await hold()
    // While its view lease lasts, a node acknowledges by itself a message that no other node needs.
    for (;;) {
      client.send(publish, wire.encodePingreq())
      const answer = await client.next()
      if (answer.type === 'pingresp') break
      expect(answer.type).toBe('puback')
      await client.expect('pingresp')
    }
    await goOn()
    await client.expect('puback')
  })
}

async function driveNodeLease(): Promise<void> {
  await using redis = await startRedis({ args: ['--save', ''] })
  await using proxy = await startRedisProxy(redis.url)
  using database = closing(new Redis(redis.url))
  const common = {
    listen,
    limits: { nodeLeaseMs: 600, viewLeaseMs: 200 },
    redisPrefix: redis.prefix,
  }
  await using judge = await startNode({ ...common, redisUrl: redis.url })
  await using node = await startNode({ ...common, redisUrl: proxy.url })
  await using publisher = await connect(judge)
  await using subscriber = await connect(node)
  await subscriber.subscribe(['t', 1])
  proxy.stall()
  const nodes = `${redis.prefix}v1:{cluster}:nodes`
  await vi.waitFor(async () => expect(await database.redis.hlen(nodes)).toBe(1), {
    timeout: 15_000,
  })
  // No client waits for it any more.
  await publisher.publish({ topic: 't', qos: 1 })
  await proxy.restore()
  // Its inbox may have it all the same, where the judge had not read its own verdict yet.
  await subscriber.untilClosed()
  await node.logged((line) => line['msg'] === 'connection closed')
  expect(node.closeReasons()).toEqual(['lease-lost'])
}

function closing(redis: Redis): { readonly redis: Redis } & Disposable {
  return { redis, [Symbol.dispose]: () => redis.disconnect() }
}

async function driveWillWindow(): Promise<void> {
  await using node = await startNode({ listen, limits: { willTakeOverWindowMs: 600 } })
  await using watcher = await connect(node)
  await watcher.subscribe(['will', 1])
  const will = (payload: string) => ({ topic: 'will', payload, qos: 1 })
  await using back = await connect(node, { clientId: 'back', will: will('back') })
  await using gone = await connect(node, { clientId: 'gone', will: will('gone') })
  await back.drop()
  await using again = await connect(node, { clientId: 'back' })
  const waitedMs = await elapsedMs(
    gone.drop().then(async () => {
      expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('gone') }])
    }),
  )
  expect(waitedMs).toBeGreaterThan(550)
  await again.expectSilence()
  await watcher.expectSilence()
}

async function driveDrainWindow(): Promise<void> {
  await using redis = await startRedis()
  const common = { listen, redisUrl: redis.url, redisPrefix: redis.prefix }
  const limits = { willDrainWindowMs: 1_000, nodeLeaseMs: 2_000 }
  await using stays = await startNode({ ...common, limits })
  await using watcher = await connect(stays)
  await watcher.subscribe(['will', 1])
  await using stops = await startNode({ ...common, limits })
  const will = { topic: 'will', payload: 'gone', qos: 1 }
  await using client = await connect(stops, { clientId: 'gone', will })
  await stops[Symbol.asyncDispose]()
  const waitedMs = await elapsedMs(watcher.receive(1))
  expect(waitedMs).toBeGreaterThan(800)
  expect(client.isClosed).toBe(true)
}

async function driveDrainRate(): Promise<void> {
  await using redis = await startRedis()
  const common = { listen, redisUrl: redis.url, redisPrefix: redis.prefix }
  await using stops = await startNode({ ...common, limits: { drainClientsPerSecond: 100 } })
  await using stack = new AsyncDisposableStack()
  for (let index = 0; index < 40; index += 1) stack.use(await connect(stops))
  // Two with each tick of 10 ms at least; without a rate all of them would go at once.
  expect(await elapsedMs(Promise.resolve(stops[Symbol.asyncDispose]()))).toBeGreaterThan(150)
  expect(stops.closeReasons()).toEqual(Array.from({ length: 40 }, () => 'shutting-down'))
}

async function drivePoll(): Promise<void> {
  const directory = temporaryDirectory('poll-')
  const authority = await Authority.create('poll')
  const link = join(directory, 'now')
  const put = async (version: string): Promise<void> => {
    const pair = await authority.issue({ commonName: 'localhost', usage: 'server' })
    mkdirSync(join(directory, version))
    writeFileSync(join(directory, version, 'tls.crt'), pair.cert)
    writeFileSync(join(directory, version, 'tls.key'), pair.key)
    symlinkSync(version, `${link}-next`)
    renameSync(`${link}-next`, link)
  }
  await put('v1')
  await using node = await startNode({
    limits: { filePollMs: 300 },
    environment: {
      BREAKWATER_TLS_CERT: join(link, 'tls.crt'),
      BREAKWATER_TLS_KEY: join(link, 'tls.key'),
    },
  })
  // What is watched is the old directory, in which nothing happens: no event tells of the new one.
  await put('v2')
  await node.logged(({ msg }) => msg === 'new certificates are in use')
}

async function driveTicketKeys(): Promise<void> {
  await using redis = await startRedis()
  const wrapKey = join(temporaryDirectory('tickets-'), 'wrap.key')
  writeFileSync(wrapKey, randomBytes(32))
  await using node = await startNode({
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    limits: { ticketKeyRotationMs: 1_000 },
    environment: { BREAKWATER_TLS_TICKET_WRAP_KEY: wrapKey },
  })
  const begins = (): number[] =>
    node.logs().flatMap((line) => {
      return line['msg'] === 'TLS ticket key rotated' ? [Date.parse(String(line['from']))] : []
    })
  const [first = 0] = begins()
  await vi.waitFor(() => expect(begins().length).toBeGreaterThan(1), { timeout: 20_000 })
  expect((begins()[1] ?? 0) - first).toBeGreaterThanOrEqual(1_000)
}

export const timeLimits = {
  ticketKeyRotationMs: driveTicketKeys,
  willDrainWindowMs: driveDrainWindow,
  drainClientsPerSecond: driveDrainRate,
  willTakeOverWindowMs: driveWillWindow,
  filePollMs: drivePoll,
  viewLeaseMs: driveViewLease,
  nodeLeaseMs: driveNodeLease,
  handshakeTimeoutMs: driveHandshake,
  connectTimeoutMs: driveConnect,
  stallTimeoutMs: driveStall,
  inboundMessagesMax: driveInbound,
  takeOverTimeoutMs: driveTakeOver,
  storeTimeoutMs: driveStore,
} as const satisfies Readonly<Record<string, LimitDriver>>
