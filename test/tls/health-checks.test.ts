/** Health checks of load balancers, proxies and kubelets: connect to a port, and disconnect. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startProgram } from '../clients/program-run.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

const LISTENERS = {
  mqtt: 'mqtt://127.0.0.1:0',
  mqtts: 'mqtts://127.0.0.1:0',
  ws: 'ws://127.0.0.1:0',
  wss: 'wss://127.0.0.1:0',
  'mqtt behind a proxy': 'mqtt://127.0.0.1:0?proxy=127.0.0.1',
  'mqtts behind a proxy': 'mqtts://127.0.0.1:0?proxy=127.0.0.1',
  'wss behind a proxy': 'wss://127.0.0.1:0?proxy=127.0.0.1',
  'mqtts for other proxies': 'mqtts://127.0.0.1:0?proxy=10.0.0.0/8',
} as const

type ListenerName = keyof typeof LISTENERS

const names = Object.keys(LISTENERS) as ListenerName[]
const isProxied = (name: ListenerName): boolean => name.endsWith('behind a proxy')

const HEADERS = {
  'a header of version 1': 'PROXY TCP4 10.1.2.3 10.0.0.1 40000 8883\r\n',
  'a header of nobody': 'PROXY UNKNOWN\r\n',
  'a header of version 2, LOCAL': Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'),
  'a header of version 2 for a client': Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
    Buffer.from([10, 1, 2, 3, 10, 0, 0, 1, 0x9c, 0x40, 0x22, 0xb3]),
  ]),
} as const

const ENDS = {
  'closes it': (socket: Socket) => socket.end(),
  'resets it': (socket: Socket) => socket.resetAndDestroy(),
} as const

/** As of a packet, a record, a request or a header that does not go on. */
const FIRST_BYTES: Readonly<Record<string, number>> = {
  mqtt: 0x10,
  mqtts: 0x16,
  ws: 0x00,
  wss: 0x16,
  'mqtt behind a proxy': 0x50,
  'mqtts for other proxies': 0x50,
}

let node: TestNode
beforeAll(async () => {
  node = await startNode({
    listen: Object.values(LISTENERS),
    limits: { handshakeTimeoutMs: 2_000 },
  })
})
afterAll(() => node[Symbol.asyncDispose]())

const portOf = (name: ListenerName): number => node.ports[names.indexOf(name)] as number

async function open(name: ListenerName): Promise<Socket> {
  const socket = connectTcp(portOf(name), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** The next connection that ends. */
function nextEnd(from: number): Promise<LogLine> {
  return node.logged(
    (line) => line['msg'] === 'connection closed' && node.logs().indexOf(line) >= from,
  )
}

async function tlsErrors(): Promise<number> {
  return (await MetricsPage.of(node)).value('breakwater_tls_handshakes_total', { result: 'error' })
}

const silent = names.flatMap((name) =>
  (Object.keys(ENDS) as (keyof typeof ENDS)[]).map((end) => [name, end] as const),
)
const headed = names
  .filter(isProxied)
  .flatMap((name) =>
    (Object.keys(HEADERS) as (keyof typeof HEADERS)[]).map((header) => [name, header] as const),
  )

describe('a connection is logged at debug as health-check when the peer', () => {
  it.each(silent)('opens %s and %s', async (name, end) => {
    const from = node.logs().length
    const errors = await tlsErrors()
    ENDS[end](await open(name))
    expect(await nextEnd(from)).toMatchObject({ reason: 'health-check', level: 'debug' })
    expect(await tlsErrors()).toBe(errors)
  })

  it.each(headed)('opens %s and leaves after %s', async (name, header) => {
    for (const end of Object.values(ENDS)) {
      const from = node.logs().length
      const socket = await open(name)
      socket.write(HEADERS[header])
      end(socket)
      expect(await nextEnd(from)).toMatchObject({ reason: 'health-check', level: 'debug' })
    }
  })

  it.each(names)('has reset %s before the node accepts it, and has no address', async (name) => {
    const from = node.logs().length
    const script = `
      const socket = require('node:net').connect(${portOf(name)}, '127.0.0.1', () => socket.resetAndDestroy())`
    // The event loop of the node stands meanwhile: it accepts what has ended.
    execFileSync(process.execPath, ['-e', script])
    expect(await nextEnd(from)).toMatchObject({
      reason: 'health-check',
      level: 'debug',
      peer: 'unknown:0',
    })
  })
})

describe('a connection that has sent bytes is not a health check:', () => {
  it.each([
    ['mqtt', 'connection-lost'],
    ['mqtts', 'handshake-failed'],
    ['ws', 'websocket-refused'],
    ['wss', 'handshake-failed'],
    ['mqtt behind a proxy', 'proxy-refused'],
    ['mqtts for other proxies', 'proxy-refused'],
  ] as const)('one byte at %s ends as %s', async (name, reason) => {
    const from = node.logs().length
    const socket = await open(name)
    socket.end(Buffer.of(FIRST_BYTES[name] as number))
    expect(await nextEnd(from)).toMatchObject({ reason, level: 'info' })
  })

  it('a TLS handshake without MQTT ends as connection-lost', async () => {
    const from = node.logs().length
    const socket = connectTls({
      port: portOf('mqtts'),
      host: '127.0.0.1',
      rejectUnauthorized: false,
    })
    // The ticket is behind the handshake: it is over for both sides.
    await once(socket, 'session')
    socket.destroy()
    expect(await nextEnd(from)).toMatchObject({ reason: 'connection-lost' })
  })

  it('a peer that stays connected and sends nothing is closed at the time-out', async () => {
    const from = node.logs().length
    const socket = await open('mqtts for other proxies')
    expect(await nextEnd(from)).toMatchObject({ reason: 'proxy-refused' })
    socket.destroy()
  })
})

it('each health check is counted, and no connection remains open', async () => {
  const page = await MetricsPage.of(node)
  const of = { listener: 'mqtt', reason: 'health-check' }
  expect(page.value('breakwater_connections_closed_total', of)).toBe(3)
  expect(page.value('breakwater_connections', { listener: 'mqtt' })).toBe(0)
})

it('health checks of HAProxy write no log line', async (context) => {
  const [program] = skipWithout(context, 'haproxy')
  const directory = temporaryDirectory('haproxy-')
  const config = join(directory, 'haproxy.cfg')
  const servers = [
    ['plain', 'mqtts', ''],
    ['v1', 'mqtts behind a proxy', 'send-proxy'],
    ['v2', 'mqtts behind a proxy', 'send-proxy-v2'],
    ['headless', 'mqtt behind a proxy', ''],
  ] as const
  writeFileSync(
    config,
    `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout check 5s
  timeout client 10s
  timeout server 10s
frontend unused
  bind ${join(directory, 'socket')}
  default_backend nodes
backend nodes
${servers.map(([name, to, how]) => `  server ${name} 127.0.0.1:${portOf(to)} ${how} check inter 50ms`).join('\n')}
`,
  )
  const from = node.logs().length
  const ends = (): readonly LogLine[] =>
    node.logs().filter((line, at) => at >= from && line['msg'] === 'connection closed')
  await using _proxy = startProgram([program], ['-f', config, '-db'])
  // Where it sends no header it resets before TCP is established, and no node hears of it.
  await expect.poll(() => ends().length).toBeGreaterThan(40)
  expect(new Set(ends().map(({ reason, level }) => [reason, level].join(' ')))).toEqual(
    new Set(['health-check debug']),
  )
})
