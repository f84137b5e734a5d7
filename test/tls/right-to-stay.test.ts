/** Connected clients whose certificate is revoked, expires or loses its authority. */
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Authority, type CertificatePair, type LeafOptions } from '@breakwater/broker'
import { describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { MountedSecret } from './mounted-secret.ts'

const WIRE = { timeoutMs: 20_000 } as const
const authority = await Authority.create('devices')
const successor = await Authority.create('devices, the next')

function device(options: Partial<LeafOptions> = {}, by = authority): Promise<CertificatePair> {
  return by.issue({ commonName: unique('device'), usage: 'client', ...options })
}

async function connected(
  node: TestNode,
  port: number | undefined,
  pair: CertificatePair | undefined,
): Promise<WireClient> {
  const tls = { ca: node.ca, servername: 'localhost', ...pair }
  const client = await WireClient.open({ host: node.host, port: port ?? 0, tls }, WIRE)
  expect((await client.connect({ clientId: unique('c') })).returnCode).toBe(0)
  return client
}

function endedBy(node: TestNode): string[] {
  return node
    .logs()
    .filter(({ msg, reason }) => msg === 'connection closed' && reason !== 'connection-lost')
    .map(({ reason, detail }) => `${String(reason)} ${String(detail)}`)
}

function listOf(certificates: readonly string[], thisUpdate: Date): Promise<string> {
  return authority.revoke({ certificates, thisUpdate })
}

describe('a revocation list that changes', () => {
  it('closes the clients that it names at every listener, and no others', async () => {
    const [bad, good] = [await device(), await device()]
    const ca = { 'ca.crt': authority.pair.cert }
    const secret = new MountedSecret({ ...ca, 'crl.pem': await listOf([], new Date(1_000)) })
    await using node = await startNode({
      listen: [
        'mqtts://127.0.0.1:0?client-auth=required',
        'mqtts://127.0.0.1:0?client-auth=optional',
        'wss://127.0.0.1:0/mqtt?client-auth=required&origin=https://fleet.example',
        'mqtts://127.0.0.1:0?client-auth=none',
      ],
      environment: {
        BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
        BREAKWATER_TLS_CRL: secret.path('crl.pem'),
      },
    })
    const [required, optional, web, none] = node.ports
    await using stack = new AsyncDisposableStack()
    const join = async (port: number | undefined, pair?: CertificatePair): Promise<WireClient> =>
      stack.use(await connected(node, port, pair))
    const closed = [await join(required, bad), await join(optional, bad)]
    const staying = [
      await join(required, good),
      await join(optional, good),
      await join(optional),
      await join(none, bad),
    ]
    // Behind TLS, before its WebSocket.
    const onItsWay = connectTls({
      port: web,
      host: node.host,
      ca: node.ca,
      servername: 'localhost',
      ...bad,
    })
    stack.defer(() => void onItsWay.destroy())
    await once(onItsWay, 'secureConnect')
    secret.update({ ...ca, 'crl.pem': await listOf([bad.cert], new Date(2_000)) })
    for (const client of closed) await client.untilClosed()
    expect(endedBy(node)).toEqual(['revoked CERT_REVOKED', 'revoked CERT_REVOKED'])
    await upgraded(onItsWay)
    await node.logged(({ reason }) => reason === 'certificate-refused')
    expect(endedBy(node).at(-1)).toBe('certificate-refused CERT_REVOKED')
    for (const client of staying) await client.expectSilence()
  })
})

/** Asks for a WebSocket; resolves when the node has answered, or ended the connection. */
async function upgraded(socket: TLSSocket): Promise<void> {
  socket.on('error', () => undefined)
  socket.write(
    [
      'GET /mqtt HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: mqtt',
      '\r\n',
    ].join('\r\n'),
  )
  await new Promise<void>((resolve) => {
    socket.once('data', () => resolve())
    socket.once('close', () => resolve())
  })
}

it('removing an authority closes its clients; clients of the next authority stay connected', async () => {
  const [before, after] = [await device(), await device({}, successor)]
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert + successor.pair.cert })
  await using node = await startNode({
    listen: ['mqtts://127.0.0.1:0?client-auth=required'],
    environment: { BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt') },
  })
  await using goes = await connected(node, node.tlsPort, before)
  await using stays = await connected(node, node.tlsPort, after)
  secret.update({ 'ca.crt': successor.pair.cert })
  await goes.untilClosed()
  expect(endedBy(node)).toEqual(['revoked UNABLE_TO_GET_ISSUER_CERT'])
  await stays.expectSilence()
})

it('an expiring certificate closes its client if the listener is configured so', async () => {
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  await using node = await startNode({
    listen: [
      'mqtts://127.0.0.1:0?client-auth=required',
      'mqtts://127.0.0.1:0?client-auth=required&expired-clients=keep',
    ],
    environment: { BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt') },
    limits: { certificateExpirySpreadMs: 500 },
  })
  const [closing, keeping] = node.ports
  const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 4_000)
  const pair = await device({ notAfter })
  await using goes = await connected(node, closing, pair)
  await using kept = await connected(node, keeping, pair)
  await using stays = await connected(node, closing, await device())
  const tls = { ca: node.ca, servername: 'localhost', ...pair }
  await using late = await WireClient.open({ ...node, port: closing as number, tls })
  await goes.untilClosed()
  expect(Date.now()).toBeGreaterThanOrEqual(notAfter.getTime())
  expect(endedBy(node)).toEqual(['certificate-expired undefined'])
  // It was good in the handshake, and is not any more.
  expect((await late.connect({ clientId: 'late' })).returnCode).toBe(5)
  await late.expectClosed()
  // Neither does another look at the authorities find anything in it but its date.
  secret.update({ 'ca.crt': authority.pair.cert + successor.pair.cert })
  const reloaded = (): number =>
    node.logs().filter(({ msg }) => msg === 'new certificates are in use').length
  await expect.poll(reloaded).toBe(2)
  for (const client of [kept, stays]) await client.expectSilence()
})
