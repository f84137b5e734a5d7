/** What a TLS listener accepts and refuses, without disturbing other clients. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodeConnect } from '../kit/wire-encoder.ts'
import { startProgram } from './program-run.ts'

const handshakeTimeoutMs = 300

let node: TestNode
let healthy: WireClient
let seen: number
beforeAll(async () => {
  node = await startNode({ limits: { handshakeTimeoutMs } })
})
afterAll(() => node[Symbol.asyncDispose]())

// A healthy client is there before, during and after everything that follows.
beforeEach(async () => {
  seen = node.logs().length
  healthy = await secure()
  await healthy.connect({ clientId: unique('healthy') })
  await healthy.subscribe(['news', 1])
})
afterEach(async () => {
  await healthy.publish({ topic: 'news', payload: 'all is well', qos: 1 })
  expect(await healthy.receive(1)).toMatchObject([{ payload: Buffer.from('all is well') }])
  await healthy.disconnect()
})

function secure(tls: ConnectionOptions = {}): Promise<WireClient> {
  const options = { ca: node.ca, servername: 'localhost', ...tls }
  return WireClient.open({ host: node.host, port: node.tlsPort, tls: options })
}

/** The next connection that ends, seen from the start of the test. */
function nextEnd(): Promise<LogLine> {
  return node.logged(
    (line) => line['msg'] === 'connection closed' && node.logs().indexOf(line) >= seen,
  )
}

async function refusedHandshake(options: ConnectionOptions): Promise<string> {
  const socket = connectTls({
    host: node.host,
    port: node.tlsPort,
    ca: node.ca,
    servername: 'localhost',
    ...options,
  })
  const error = await Promise.race([
    once(socket, 'error').then(([cause]) => cause as Error & { code?: string }),
    once(socket, 'secureConnect').then(() => new Error('the handshake succeeded')),
  ]).catch((cause: Error & { code?: string }) => cause)
  socket.destroy()
  return ('code' in error ? error.code : undefined) ?? error.message
}

describe('a TLS listener', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('accepts %s', async (version) => {
    await using client = await secure({ minVersion: version, maxVersion: version })
    expect((client.socket as TLSSocket).getProtocol()).toBe(version)
    expect(await client.connect()).toMatchObject({ returnCode: 0 })
  })

  it('refuses TLS 1.1 and logs it', async (context) => {
    const [openssl] = skipWithout(context, 'openssl')
    const args = ['s_client', '-connect', `${node.host}:${node.tlsPort}`, '-tls1_1']
    const run = startProgram([openssl], [...args, '-cipher', 'ALL:@SECLEVEL=0'])
    const { code, stdout, stderr } = await run.ended
    expect(code).not.toBe(0)
    expect(`${stdout}${stderr}`).toMatch(/alert protocol version/)
    expect(await nextEnd()).toMatchObject({
      listener: 'mqtts',
      reason: 'handshake-failed',
      detail: 'ERR_SSL_UNSUPPORTED_PROTOCOL',
    })
  })

  it.each([
    ['without ALPN', undefined, false],
    ['with ALPN mqtt', ['mqtt'], 'mqtt'],
    ['with ALPN mqtt among others', ['h2', 'mqtt', 'x'], 'mqtt'],
  ] as const)('accepts a client %s', async (_title, protocols, chosen) => {
    const options = protocols === undefined ? {} : { ALPNProtocols: [...protocols] }
    await using client = await secure(options)
    expect((client.socket as TLSSocket).alpnProtocol).toBe(chosen)
    expect(await client.connect()).toMatchObject({ returnCode: 0 })
  })

  it('refuses a client with another ALPN and logs it', async () => {
    const code = await refusedHandshake({ ALPNProtocols: ['http/1.1'] })
    expect(code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
    expect(await nextEnd()).toMatchObject({
      reason: 'handshake-failed',
      detail: 'ERR_SSL_NO_APPLICATION_PROTOCOL',
    })
  })

  it.each([
    ['MQTT', encodeConnect({ clientId: 'plain' })],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    [
      'bytes of no known protocol',
      Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256)),
    ],
  ])('closes a client that sends plain %s, with a reason', async (_title, bytes) => {
    await using client = await WireClient.open({ host: node.host, port: node.tlsPort })
    client.send(bytes)
    const end = nextEnd()
    const closed = once(client.socket, 'close')
    expect(await end).toMatchObject({
      listener: 'mqtts',
      reason: 'handshake-failed',
      peer: `127.0.0.1:${client.socket.localPort}`,
    })
    client.socket.destroy()
    await closed
  })

  it('closes a client that sends nothing within the handshake time-out', async () => {
    await using client = await WireClient.open({ host: node.host, port: node.tlsPort })
    expect(await nextEnd()).toMatchObject({ reason: 'handshake-timeout' })
    await client.expectClosed()
  })

  it.each(['ends', 'resets'] as const)(
    'counts a connection that %s before its first byte once, as a health check',
    async (how) => {
      const socket = connectTcp(node.tlsPort, node.host)
      await once(socket, 'connect')
      if (how === 'ends') socket.end()
      else socket.resetAndDestroy()
      expect(await nextEnd()).toMatchObject({ reason: 'health-check' })
      const ends = node.logs().slice(seen)
      expect(ends.filter(({ msg }) => msg === 'connection closed')).toHaveLength(1)
    },
  )

  it('counts a client that disconnects during its handshake once', async () => {
    const socket = connectTcp(node.tlsPort, node.host)
    await once(socket, 'connect')
    // The head of a ClientHello whose rest never comes.
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]))
    socket.end()
    expect(await nextEnd()).toMatchObject({ reason: 'handshake-failed' })
  })
})

it('closes a TLS client on the plain port, with a reason', async () => {
  const socket = connectTls({ host: node.host, port: node.port, ca: node.ca })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => undefined)
  expect(await nextEnd()).toMatchObject({ listener: 'mqtt', reason: 'malformed-packet' })
  await closed
})
