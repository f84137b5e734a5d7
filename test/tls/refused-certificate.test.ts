/**
 * What a client with a refused certificate is told. TLS refuses a missing certificate; a certificate that TLS accepted and
 * the node refused, such as a revoked one, is refused by the protocol above TLS.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls'
import { Authority } from '@breakwater/broker'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startProgram } from '../clients/program-run.ts'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { encodeConnect, encodePingreq } from '../kit/wire-encoder.ts'
import { meet } from './tls-peer.ts'

const versions = ['TLSv1.2', 'TLSv1.3'] as const

const directory = temporaryDirectory('refused-')
const file = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}
const authority = await Authority.create('devices')
const revoked = await authority.issue({ commonName: 'buoy', usage: 'client' })
const cert = file('revoked.crt', revoked.cert)
const key = file('revoked.key', revoked.key)

let node: TestNode
beforeAll(async () => {
  const list = await authority.revoke({ certificates: [revoked.cert] })
  const clients = `client-ca=${file('ca.crt', authority.pair.cert)}&crl=${file('crl.pem', list)}`
  node = await startNode({
    listen: [
      `mqtts://127.0.0.1:0?client-auth=required&${clients}`,
      `wss://127.0.0.1:0?client-auth=required&${clients}&origin=https://fleet.example`,
    ],
  })
})
afterAll(() => node[Symbol.asyncDispose]())

function endOf(peer: string): Promise<LogLine> {
  return node.logged((line) => line['msg'] === 'connection closed' && line['peer'] === peer)
}

async function secured(version: SecureVersion): Promise<readonly [TLSSocket, string]> {
  const socket = connectTls({
    port: node.tlsPort,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: node.ca,
    ...revoked,
    minVersion: version,
    maxVersion: version,
  })
  // Over TLS 1.3 the ticket is behind the handshake: it is over for both sides.
  await once(socket, version === 'TLSv1.3' ? 'session' : 'secureConnect')
  return [socket, `${socket.localAddress}:${socket.localPort}`]
}

const REFUSED = { reason: 'certificate-refused', detail: 'CERT_REVOKED' }

describe.each(versions)('over %s', (version) => {
  it('a client with a revoked certificate gets CONNACK 0x05, is counted, and is closed', async () => {
    const count = async (): Promise<number> =>
      (await MetricsPage.of(node)).value('breakwater_connack_total', { code: '5' })
    const before = await count()
    using peer = await meet(
      {
        port: node.tlsPort,
        ca: node.ca,
        ...revoked,
        minVersion: version,
        maxVersion: version,
      },
      { clientId: unique('c') },
    )
    expect([peer.returnCode, peer.error]).toEqual([5, undefined])
    expect(await endOf(peer.address)).toMatchObject(REFUSED)
    expect(await count()).toBe(before + 1)
  })

  it('a client with a revoked certificate that sends another packet first gets no answer', async () => {
    const [socket, peer] = await secured(version)
    const heard: Buffer[] = []
    socket.on('data', (bytes: Buffer) => heard.push(bytes))
    socket.on('error', () => undefined)
    socket.write(Buffer.concat([encodePingreq(), encodeConnect({ clientId: unique('c') })]))
    await once(socket, 'close')
    expect(heard).toEqual([])
    expect(await endOf(peer)).toMatchObject(REFUSED)
  })

  it('a client with a revoked certificate that disconnects at once counts as refused', async () => {
    const [socket, peer] = await secured(version)
    socket.destroy()
    expect(await endOf(peer)).toMatchObject(REFUSED)
  })

  it('a client without a certificate gets a TLS alert', async () => {
    using peer = await meet({
      port: node.tlsPort,
      ca: node.ca,
      minVersion: version,
      maxVersion: version,
    })
    // Where the connection ends before the alert is read there is only the end.
    expect(peer.error).toMatch(/ALERT_(HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED)|ECONNRESET|EPIPE/)
  })
})

it('a node does not wait for a client with a revoked certificate that sends nothing', async () => {
  const [socket, peer] = await secured('TLSv1.3')
  socket.resume()
  expect(await endOf(peer)).toMatchObject(REFUSED)
})

it('a client with a revoked certificate gets HTTP status 403 over WebSocket', async () => {
  const url = `wss://localhost:${node.ports[1]}/mqtt`
  const socket = new WebSocket(url, ['mqtt'], { ca: node.ca, family: 4, ...revoked })
  await expect(once(socket, 'open')).rejects.toThrow(/403/)
})

it('MQTT.js and mosquitto_pub report a revoked certificate as not authorised', async (context) => {
  const options = { ca: node.ca, ...revoked, reconnectPeriod: 0 }
  const url = `mqtts://localhost:${node.tlsPort}`
  await expect(connectAsync(url, options)).rejects.toMatchObject({ code: 5 })
  const [program] = skipWithout(context, 'mosquitto_pub')
  const to = ['-h', 'localhost', '-p', `${node.tlsPort}`, '--cafile', node.caPath]
  const args = [...to, '--cert', cert, '--key', key, '-t', 't', '-m', 'x', '-q', '1']
  expect(await startProgram([program], args).ended).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(/not authorised/),
  })
})
