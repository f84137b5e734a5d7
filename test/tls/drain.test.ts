/** SIGTERM at one of two nodes: its clients move to the other node, one after the other, and no message is lost. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { expect, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { spawnNode, startNode, type NodeProcess } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePingreq, encodePuback } from '../kit/wire-encoder.ts'
import { MovingDevice } from './moving-device.ts'

const ACTIVE = 100
const IDLE = 200
const PUBLISHERS = 10
const RATE = 200
/** What would be a tenth of the time. Ticks are 10 ms apart at least, and let go of four clients at once. */
const TENTH_MS = ((ACTIVE + IDLE) / RATE) * 100

it('SIGTERM moves 300 TLS clients to the other node, idle clients first, without losing a QoS 1 message', async () => {
  await using redis = await startRedis()
  const settings = {
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    limits: { drainClientsPerSecond: RATE, willDrainWindowMs: 60_000 },
    environment: { BREAKWATER_SHUTDOWN_TIMEOUT: '60s' },
  }
  await using other = await startNode(settings)
  await using node = await spawnNode(settings)
  await using stack = new AsyncDisposableStack()
  const root = unique('r')
  const tls = { ca: node.ca, servername: 'localhost' }
  const [first, second] = [node, other].map(({ host, tlsPort }) => ({ host, port: tlsPort, tls }))
  if (first === undefined || second === undefined) throw new Error('two nodes')
  const watcher = stack.use(await connectAt(other, {}, { timeoutMs: 20_000 }))
  await watcher.subscribe([`${root}/will/#`, 0])
  const subscriber = await connectAt(other, {}, { timeoutMs: 120_000 })
  await subscriber.subscribe([`${root}/load`, 1])

  const connectAll = async (name: string, count: number): Promise<MovingDevice[]> => {
    const devices: MovingDevice[] = []
    for (let index = 0; index < count; index += 1) {
      const clientId = `${name}-${index}`
      const will = { topic: `${root}/will/${clientId}`, payload: 'gone' }
      const device = new MovingDevice({ clientId, clean: index % 2 === 0, will, second })
      await device.connect(first)
      stack.defer(() => device.client.drop())
      devices.push(device)
    }
    return devices
  }
  const active = await connectAll('active', ACTIVE)
  const publishers = await connectAll('publisher', PUBLISHERS)
  const idle = await connectAll('idle', IDLE)

  // The sweep that closes this one has seen that all others were idle by then.
  const silent = await WireClient.open(first, { timeoutMs: 20_000 })
  await silent.connect({ clientId: unique('silent'), keepAliveSeconds: 1 })
  await silent.untilClosed()
  // A ping does not make a client active; a message does, in either direction.
  for (const { client } of idle) client.send(encodePingreq())
  for (const { client } of idle) await client.expect('pingresp')
  for (const [index, { client }] of active.entries())
    if (index % 2 === 0) await client.publish({ topic: unique('t'), qos: 1 })
    else await client.subscribe([unique('t'), 0])
  const received = new Set<string>()
  const reading = readAll(subscriber, received)
  stack.defer(() => reading)
  stack.use(subscriber)
  let enough = false
  const load = publishers.map((device) => device.publish(`${root}/load`, () => enough))
  // One that has not sent CONNECT yet, one that has not come as far as TLS.
  const early = await WireClient.open(first)
  const raw = connectTcp(node.tlsPort, node.host)
  await once(raw, 'connect')
  // The node has accepted it: connections are accepted in their order.
  stack.use(await WireClient.open(first))

  const movers = [...idle, ...active].map((device) => device.move())
  const exited = once(node.process, 'exit')
  node.process.kill('SIGTERM')
  await node.logged(({ msg }) => msg === 'node is stopping')
  expect(await early.untilClosed()).toEqual([])
  await expectRefused(node)
  const late = connectTls({ socket: raw, ...tls })
  late.on('error', () => undefined)
  late.resume()
  await once(late, 'close')
  node.process.kill('SIGTERM')
  await Promise.all([...movers, ...publishers.map(({ moved }) => moved)])
  enough = true
  await Promise.all(load)
  expect(await exited).toEqual([0, null])
  expect(node.logs().at(-1)).toMatchObject({ msg: 'node has stopped' })

  const closed = node.logs().filter(({ reason }) => reason === 'shutting-down')
  const orderOf = (name: string): readonly string[] =>
    closed.map(({ clientId }) => String(clientId)).filter((id) => id.startsWith(name))
  expect(orderOf('idle')).toHaveLength(IDLE)
  expect(orderOf('publisher')).toHaveLength(PUBLISHERS)
  // The other two, and the one that came so late.
  expect(orderOf('')).toHaveLength(IDLE + ACTIVE + PUBLISHERS + 3)
  const devices = closed.filter(({ clientId }) => /^(idle|active)-/.test(String(clientId)))
  const names = devices.map(({ clientId }) => String(clientId).split('-')[0])
  expect(names).toEqual([...fill(IDLE, 'idle'), ...fill(ACTIVE, 'active')])
  // By the clock of the node, on which a tick may be late but never early.
  const times = devices.map(({ time }) => Date.parse(String(time)))
  const inTenth = times.map(
    (from) => times.filter((at) => at >= from && at < from + TENTH_MS).length,
  )
  expect(Math.max(...inTenth)).toBeLessThan((IDLE + ACTIVE) * 0.3)
  const progress = node
    .logs()
    .filter(({ msg }) => msg === 'disconnecting clients so that they move to other nodes')
  expect(progress.length).toBeGreaterThan(0)

  await watcher.expectSilence()
  for (const { acknowledged } of publishers) expect(acknowledged.length).toBeGreaterThan(0)
  const missing = (): string[] =>
    publishers.flatMap(({ acknowledged }) => acknowledged.filter((one) => !received.has(one)))
  // What the first node has passed on is read from the inbox of the other one.
  await expect.poll(missing, { timeout: 30_000 }).toEqual([])
}, 120_000)

async function expectRefused(node: NodeProcess): Promise<void> {
  const [error] = (await once(connectTcp(node.tlsPort, node.host), 'error')) as [
    Error & { code: string },
  ]
  expect(error.code).toBe('ECONNREFUSED')
}

function fill(length: number, name: string): string[] {
  return Array.from({ length }, () => name)
}

/** Acknowledges messages until the connection ends. */
async function readAll(client: WireClient, payloads: Set<string>): Promise<void> {
  for (;;) {
    const message = await client.take('publish').catch(() => undefined)
    if (message === undefined) return
    client.send(encodePuback(message.packetId))
    payloads.add(message.payload.toString())
  }
}
