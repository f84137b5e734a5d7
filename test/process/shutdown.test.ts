/**
 * SIGTERM: not ready → nothing more accepted → what has been sent takes effect and is acknowledged → clients
 * closed → exit code 0, all inside BREAKWATER_SHUTDOWN_TIMEOUT.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { connectAt, startCluster } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePublish } from '../kit/wire-encoder.ts'

/** A node that has to wait for its time-out. */
const environment = { BREAKWATER_SHUTDOWN_TIMEOUT: '4s' }
/** A node that ends by itself: the time-out is longer than a test may take. */
const unhurried = { BREAKWATER_SHUTDOWN_TIMEOUT: '10m' }
/** A node that waited for its store would wait for longer than a test may take. */
const patient = { storeTimeoutMs: 600_000 }

async function ready(node: NodeProcess): Promise<number> {
  return (await fetch(`http://127.0.0.1:${node.adminPort}/readyz`)).status
}

/** The node ends with code 0. */
async function stop(node: NodeProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  await node.kill(signal)
  expect({ code: node.process.exitCode, signal: node.process.signalCode }).toEqual({
    code: 0,
    signal: null,
  })
}

describe('a node that gets SIGTERM', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'closes its clients and ends at once (%s)',
    async (name) => {
      await using node = await spawnNode({ environment: unhurried })
      await using plain = await connectAt(node)
      const tls = { ca: node.ca, servername: 'localhost' }
      await using secure = await WireClient.open({ host: node.host, port: node.tlsPort, tls })
      await secure.connect({ clientId: unique('c') })
      // One that has not come as far as CONNECT, one that has not come as far as TLS.
      await using silent = await WireClient.open(node)
      await using raw = await WireClient.open({ host: node.host, port: node.tlsPort })
      expect(await ready(node)).toBe(200)
      await stop(node, name)
      for (const client of [plain, secure, silent, raw])
        expect(await client.untilClosed()).toEqual([])
      expect(node.closeReasons()).toEqual(Array.from({ length: 4 }, () => 'shutting-down'))
      expect(node.logs().at(-1)).toMatchObject({ msg: 'node has stopped' })
    },
  )

  it('is not ready, accepts no client, acknowledges publishes in progress, and is not hurried by more signals', async () => {
    await using cluster = await startCluster()
    await using proxy = await startRedisProxy(cluster.redis.url)
    const settings = { ...cluster.settings, redisUrl: proxy.url, environment: unhurried }
    await using node = await spawnNode(settings)
    const topic = unique('t')
    await using subscriber = await connectAt(cluster.a)
    await subscriber.subscribe([topic, 1])
    await using publisher = await connectAt(node)
    await using secondPublisher = await connectAt(node, { clientId: unique('p'), clean: false })
    await publisher.publish({ topic, payload: 'before', qos: 1 })

    proxy.stall()
    publisher.send(encodePublish({ topic, payload: 'under way', qos: 1, packetId: 7 }))
    secondPublisher.send(
      encodePublish({ topic, payload: 'too', qos: 2, retain: true, packetId: 8 }),
    )
    await sent(publisher, secondPublisher)
    const stopped = stop(node)
    await expect.poll(() => ready(node)).toBe(503)
    expect((await fetch(`http://127.0.0.1:${node.adminPort}/livez`)).status).toBe(200)
    node.process.kill('SIGTERM')
    node.process.kill('SIGINT')
    for (const port of [node.port, node.tlsPort]) {
      const [error] = (await once(connect(port, node.host), 'error')) as [Error & { code: string }]
      expect(error.code).toBe('ECONNREFUSED')
    }
    // Sent after the signal: it is not read, and so not acknowledged.
    publisher.send(encodePublish({ topic, payload: 'too late', qos: 1, packetId: 9 }))
    await proxy.restore()
    expect(await publisher.untilClosed()).toEqual([{ type: 'puback', packetId: 7 }])
    expect(await secondPublisher.untilClosed()).toEqual([{ type: 'pubrec', packetId: 8 }])
    await stopped

    await using last = await connectAt(cluster.b)
    await last.publish({ topic, payload: 'last', qos: 1 })
    const payloads = (await subscriber.receive(3)).map(({ payload }) => payload.toString())
    expect(payloads).toEqual(['before', 'under way', 'last'])
  })

  it('does not wait for a client that never reads', async () => {
    await using node = await spawnNode({ environment, allowAnonymous: true })
    const topic = unique('t')
    await using deaf = await connectAt(node)
    await deaf.subscribe([topic, 0])
    deaf.socket.pause()
    await using publisher = await connectAt(node)
    const payload = Buffer.alloc(200_000)
    const dropped = (): Promise<boolean> => hasDropped(node)
    while (!(await dropped())) {
      for (let count = 0; count < 20; count++) await publisher.publish({ topic, payload, qos: 0 })
      await publisher.expectSilence()
    }
    await stop(node)
    expect(node.closeReasons()).toEqual(['shutting-down', 'shutting-down'])
  })

  it.concurrent.each(['refuses connections', 'hangs'] as const)(
    'ends within the time-out with a Redis that %s',
    async (how) => {
      await using redis = await startRedis()
      await using proxy = await startRedisProxy(redis.url)
      const settings = {
        redisUrl: proxy.url,
        redisPrefix: redis.prefix,
        environment,
        limits: patient,
      }
      await using node = await spawnNode(settings)
      await using idle = await connectAt(node, { clientId: unique('c'), clean: false })
      await using publisher = await connectAt(node)
      if (how === 'hangs') proxy.stall()
      else await proxy.refuse()
      publisher.send(encodePublish({ topic: unique('t'), qos: 1, retain: true, packetId: 7 }))
      await sent(publisher)
      await stop(node)
      for (const client of [idle, publisher]) expect(await client.untilClosed()).toEqual([])
    },
  )
})

/** The node has read what these clients have written: it answers a PINGREQ behind it. */
async function sent(...clients: readonly WireClient[]): Promise<void> {
  for (const client of clients) await client.expectSilence()
}

async function hasDropped(node: NodeProcess): Promise<boolean> {
  const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  return /^breakwater_messages_dropped_total\{reason="slow-consumer",qos="0"\} [1-9]/m.test(page)
}
