/** Third-party clients at listeners that ask for certificates: openssl, mosquitto, MQTT.js, HAProxy. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net'
import { Authority, type CertificatePair } from '@breakwater/broker'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { startProgram, type ProgramEnd } from '../clients/program-run.ts'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { MountedSecret } from './mounted-secret.ts'

const directory = temporaryDirectory('programs-')
const authority = await Authority.create('devices')
const buoy = await authority.issue({ commonName: 'buoy-7', usage: 'client' })
const expired = await authority.issue({
  commonName: 'buoy-8',
  usage: 'client',
  notBefore: new Date(0),
  notAfter: new Date(Date.now() - 60_000),
})

const CERTIFIED = 0
const PROXIED = 1
const OPEN = 2

let node: TestNode
beforeAll(async () => {
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  node = await startNode({
    listen: [
      `mqtts://127.0.0.1:0?client-auth=required&identity=cn&client-id=\${username}&client-ca=${secret.path('ca.crt')}`,
      'mqtts://127.0.0.1:0?proxy=127.0.0.1',
      'mqtts://127.0.0.1:0',
    ],
  })
})
afterAll(() => node[Symbol.asyncDispose]())

function filesOf(name: string, pair: CertificatePair): readonly [string, string] {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  writeFileSync(cert, pair.cert)
  writeFileSync(key, pair.key)
  return [cert, key]
}

const [cert, key] = filesOf('buoy', buoy)
const [oldCert, oldKey] = filesOf('expired', expired)

function endOf(fits: Readonly<Record<string, unknown>>): Promise<unknown> {
  return node.logged(
    (line) =>
      line['msg'] === 'connection closed' &&
      Object.entries(fits).every(([name, value]) => line[name] === value),
  )
}

describe('mosquitto_pub', () => {
  const publish = (context: TestContext, ...args: string[]): Promise<ProgramEnd> => {
    const [program] = skipWithout(context, 'mosquitto_pub')
    const to = ['-h', 'localhost', '-p', `${node.ports[CERTIFIED]}`, '--cafile', node.caPath]
    return startProgram([program], [...to, '-t', 't', '-m', 'x', '-q', '1', ...args]).ended
  }

  it('is served with its certificate, under the name of that certificate', async (context) => {
    const own = ['--cert', cert, '--key', key]
    expect(await publish(context, ...own, '-i', 'buoy-7')).toMatchObject({ code: 0 })
    expect((await publish(context, ...own, '-i', 'buoy-9')).stderr).toMatch(/identifier rejected/)
  })

  it('is refused without a certificate, and with an expired certificate', async (context) => {
    expect((await publish(context)).code).not.toBe(0)
    await endOf({ detail: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' })
    const old = ['--cert', oldCert, '--key', oldKey]
    expect((await publish(context, ...old, '-i', 'buoy-8')).code).not.toBe(0)
    await endOf({ reason: 'certificate-refused', detail: 'CERT_HAS_EXPIRED' })
  })
})

describe('mosquitto_sub', () => {
  it('gets messages of MQTT.js, both with certificates', async (context) => {
    const [program] = skipWithout(context, 'mosquitto_sub')
    const port = `${node.ports[CERTIFIED]}`
    const to = ['-h', 'localhost', '-p', port, '--cafile', node.caPath]
    const own = ['--cert', cert, '--key', key, '-i', 'buoy-7']
    const topic = unique('t')
    const other = await authority.issue({ commonName: 'buoy-11', usage: 'client' })
    const options = { ca: node.ca, ...other, clientId: 'buoy-11', reconnectPeriod: 0 }
    const client = await connectAsync(`mqtts://localhost:${port}`, options)
    await client.publishAsync(topic, 'over mTLS', { qos: 1, retain: true })
    const asked = ['-t', topic, '-q', '1', '-C', '1']
    expect(await startProgram([program], [...to, ...own, ...asked]).ended).toMatchObject({
      code: 0,
      stdout: 'over mTLS',
    })
    await client.endAsync()
  })
})

describe('MQTT.js', () => {
  it('is served with its certificate, under the name of that certificate', async () => {
    const url = `mqtts://localhost:${node.ports[CERTIFIED]}`
    const options = { ca: node.ca, ...buoy, reconnectPeriod: 0 }
    const client = await connectAsync(url, { ...options, clientId: 'buoy-7' })
    await client.publishAsync('t', 'x', { qos: 1 })
    await client.endAsync()
    await expect(connectAsync(url, { ...options, clientId: 'buoy-9' })).rejects.toMatchObject({
      code: 2,
    })
  })
})

describe('openssl s_client', () => {
  const talk = async (
    context: TestContext,
    listener: number,
    args: readonly string[],
    input = 'Q\n',
  ) => {
    const [program] = skipWithout(context, 'openssl')
    const to = ['s_client', '-connect', `127.0.0.1:${node.ports[listener]}`, '-CAfile', node.caPath]
    const { stdout, stderr } = await startProgram([program], [...to, ...args], { input }).ended
    return `${stdout}\n${stderr}`
  }

  it.for(['-tls1', '-tls1_1'])('with %s is refused', async (version, context) => {
    const said = await talk(context, OPEN, [version, '-cipher', 'ALL:@SECLEVEL=0'])
    expect(said).toMatch(/alert protocol version/)
  })

  it('without authenticated encryption is refused', async (context) => {
    const suite = 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0'
    const said = await talk(context, OPEN, ['-tls1_2', '-cipher', suite])
    expect(said).toMatch(/handshake failure/)
  })

  it('that renegotiates is refused', async (context) => {
    const said = await talk(context, OPEN, ['-tls1_2'], 'R\n')
    expect(said).toMatch(/RENEGOTIATING/)
    expect(said).toMatch(/no renegotiation/)
  })

  it.for(['-tls1_2', '-tls1_3'])('resumes its session with %s', async (version, context) => {
    const file = join(directory, `session${version}`)
    const own = [version, '-cert', cert, '-key', key]
    const [program] = skipWithout(context, 'openssl')
    const to = [
      's_client',
      '-connect',
      `127.0.0.1:${node.ports[CERTIFIED]}`,
      '-CAfile',
      node.caPath,
    ]
    // It stays until the ticket has come, which is behind the handshake in TLS 1.3.
    const first = startProgram([program], [...to, ...own, '-sess_out', file, '-ign_eof', '-msg'], {
      timeoutMs: 1_500,
    })
    await first.said('NewSessionTicket')
    await first.ended
    const said = await talk(context, CERTIFIED, [...own, '-sess_in', file])
    expect(said).toMatch(/Reused, TLSv1/)
  })
})

it('HAProxy in front of TLS passes on the address of the client', async (context) => {
  const [program] = skipWithout(context, 'haproxy')
  const port = await freePort()
  const config = join(directory, 'haproxy.cfg')
  writeFileSync(
    config,
    `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend mqtts
  bind 127.0.0.1:${port}
  default_backend nodes
backend nodes
  server one 127.0.0.1:${node.ports[PROXIED]} send-proxy-v2
`,
  )
  await using _proxy = startProgram([program], ['-f', config, '-db'])
  await expect.poll(() => answers(port)).toBe(true)
  const clientId = unique('c')
  const options = { ca: node.ca, clientId, reconnectPeriod: 0, localAddress: '127.0.0.9' }
  const client = await connectAsync(`mqtts://localhost:${port}`, options)
  await client.endAsync()
  const line = await endOf({ clientId, reason: 'disconnected' })
  expect(line).toMatchObject({ peer: expect.stringMatching(/^127\.0\.0\.9:/) })
})

async function answers(port: number): Promise<boolean> {
  const socket = connectTcp(port, '127.0.0.1')
  const open = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return open
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
