/**
 * Clients that stop in the middle of connecting, at every step of the way in, beside clients that work. Few here;
 * `BREAKWATER_TEST_LORIS=5000 npm test -- test/fault/slow-loris.test.ts` is the long form, which also says what
 * they cost.
 */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { closeReasonIds } from '@breakwater/broker'
import { sampleProcess } from '@breakwater/simulator'
import { expect, test } from 'vitest'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodeConnect } from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'

const COUNT = Number(process.env['BREAKWATER_TEST_LORIS'] ?? 240)
const IS_LONG = COUNT > 1_000
const WAVES = IS_LONG ? 3 : 1
const WORKING = 4
const MIB = 1_048_576

const Listener = { MQTTS: 0, WS: 1, PROXY: 2, MQTT: 3 } as const
const LISTEN = [
  'mqtts://127.0.0.1:0',
  'ws://127.0.0.1:0',
  'mqtt://127.0.0.1:0?proxy=127.0.0.1',
  'mqtt://127.0.0.1:0',
]

/** The record header and the first bytes of a ClientHello of 512 bytes. */
const HALF_HELLO = Buffer.concat([
  Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
  Buffer.alloc(90, 7),
])
const HALF_CONNECT = encodeConnect({ clientId: 'never' }).subarray(0, -3)

interface Stage {
  readonly name: string
  readonly reason: 'handshake-timeout' | 'connect-timeout'
  open(node: NodeProcess): Socket
}

const plain =
  (listener: number, bytes: string | Buffer) =>
  (node: NodeProcess): Socket => {
    const socket = connectTcp(node.ports[listener] as number, node.host)
    if (bytes.length > 0) socket.write(bytes)
    return socket
  }

/** One for all: making it takes longer than the handshake. */
let secureContext: SecureContext | undefined

const secure =
  (bytes: Buffer) =>
  ({ ports, host, ca }: NodeProcess): Socket => {
    secureContext ??= createSecureContext({ ca })
    const socket = connectTls({ port: ports[Listener.MQTTS] ?? 0, host, secureContext })
    if (bytes.length > 0) socket.write(bytes)
    return socket
  }

const STAGES: readonly Stage[] = [
  { name: 'TCP only', reason: 'handshake-timeout', open: plain(Listener.MQTTS, '') },
  {
    name: 'half a ClientHello',
    reason: 'handshake-timeout',
    open: plain(Listener.MQTTS, HALF_HELLO),
  },
  { name: 'TLS without CONNECT', reason: 'connect-timeout', open: secure(Buffer.alloc(0)) },
  { name: 'half a CONNECT', reason: 'connect-timeout', open: secure(HALF_CONNECT) },
  {
    name: 'half a WebSocket',
    reason: 'handshake-timeout',
    open: plain(Listener.WS, 'GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n'),
  },
  {
    name: 'half a PROXY header',
    reason: 'handshake-timeout',
    open: plain(Listener.PROXY, 'PROXY TCP4 10.0.0.1 '),
  },
]

/** A device that works: its round trips are counted until it is told to stop. */
class Worker {
  trips = 0
  slowestMs = 0
  readonly done: Promise<void>
  #isStopped = false

  constructor(node: NodeProcess, clientId: string) {
    this.done = this.#work(node, clientId)
  }

  stop(): void {
    this.#isStopped = true
  }

  async #work(node: NodeProcess, clientId: string): Promise<void> {
    const { host, ca } = node
    const port = node.ports[Listener.MQTTS] as number
    await using client = await WireClient.open({ host, port, tls: { ca } }, { timeoutMs: 30_000 })
    expect((await client.connect({ clientId })).returnCode).toBe(0)
    await client.subscribe([clientId, 1])
    while (!this.#isStopped) {
      const startedAt = performance.now()
      await client.publish({ topic: clientId, payload: 'x', qos: 1 })
      await client.receive(1)
      this.trips += 1
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt)
    }
  }
}

const residentBytes = (node: NodeProcess): number =>
  sampleProcess(node.process.pid as number)?.residentBytes ?? 0

/** How many connections ended for which reason. */
async function closedByReason(node: NodeProcess): Promise<Record<string, number>> {
  const page = await MetricsPage.of(node)
  return Object.fromEntries(
    closeReasonIds
      .map((reason) => [reason, page.value('breakwater_connections_closed_total', { reason })])
      .filter(([, count]) => count !== 0),
  )
}

async function openOf(node: NodeProcess): Promise<number> {
  return (await MetricsPage.of(node)).value('breakwater_connections')
}

test(
  `${COUNT} clients that stop in the middle of connecting are closed, each with its reason, and other clients are served`,
  { timeout: 180_000 },
  async () => {
    const seconds = IS_LONG ? 10 : 3
    await using node = await spawnNode({
      listen: LISTEN,
      limits: { handshakeTimeoutMs: seconds * 1_000, connectTimeoutMs: seconds * 1_000 },
      environment: { BREAKWATER_LOG_LEVEL: 'info' },
    })
    const workers = Array.from({ length: WORKING }, (_, index) => new Worker(node, `w${index}`))
    const everyoneHasWorked = (from: number) => (): boolean =>
      workers.every(({ trips }) => trips > from)
    await expect.poll(everyoneHasWorked(50), { timeout: 30_000 }).toBe(true)
    const slowestCalmMs = Math.max(...workers.map(({ slowestMs }) => slowestMs))
    for (const worker of workers) worker.slowestMs = 0
    const residentMiB = [residentBytes(node) / MIB]
    for (let wave = 1; wave <= WAVES; wave += 1) {
      await sendLorises(node)
      const trips = Math.max(...workers.map((worker) => worker.trips))
      await expect.poll(everyoneHasWorked(trips), { timeout: 60_000 }).toBe(true)
      residentMiB.push(residentBytes(node) / MIB)
    }
    const slowestMs = Math.max(...workers.map((worker) => worker.slowestMs))
    for (const worker of workers) worker.stop()
    await Promise.all(workers.map(({ done }) => done))
    await expect.poll(() => openOf(node), { timeout: 60_000 }).toBe(0)

    const counts = await closedByReason(node)
    if (!IS_LONG) {
      const each = COUNT / STAGES.length
      expect(counts).toEqual({
        'handshake-timeout': each * 4,
        'connect-timeout': each * 2,
        'connection-lost': WORKING,
      })
      return
    }
    const page = await MetricsPage.of(node)
    const lateMoreThan = Object.fromEntries(
      ['0.05', '0.1', '0.25', '0.5', '1'].map((le) => [
        `${le} s`,
        page.value('breakwater_eventloop_delay_seconds_count') -
          page.value('breakwater_eventloop_delay_seconds_bucket', { le }),
      ]),
    )
    console.log({ counts, slowestCalmMs, slowestMs, residentMiB, lateMoreThan })
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
    expect(all).toBe(COUNT * WAVES + WORKING)
    // What the first wave took is used again by those behind it.
    const [, first = 0, ...later] = residentMiB
    expect(Math.max(...later)).toBeLessThan(first * 1.3)
  },
)

/** Resolves when all of them have been closed by the node. */
async function sendLorises(node: NodeProcess): Promise<void> {
  const lorises = Array.from({ length: COUNT }, (_, index) => {
    const socket = (STAGES[index % STAGES.length] as Stage).open(node)
    socket.on('error', () => undefined)
    socket.resume()
    return socket
  })
  const ended = async (socket: Socket): Promise<void> => {
    if (!socket.closed) await once(socket, 'close').catch(() => undefined)
  }
  await Promise.all(lorises.map(ended))
  await expect.poll(() => openOf(node), { timeout: 60_000 }).toBe(WORKING)
}
