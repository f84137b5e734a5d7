/** Certificates, keys and authorities that change under a running node, as a mounted Secret changes. */
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority, type CertificatePair } from '@breakwater/broker'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet } from './tls-peer.ts'

const DEVICES = 1_000
const authority = await Authority.create('fleet')

async function issue(options: { notAfter?: Date } = {}): Promise<CertificatePair> {
  return authority.issue({
    commonName: 'localhost',
    usage: 'server',
    alternativeNames: ['localhost'],
    ...options,
  })
}

function filesOf({ cert, key }: CertificatePair): Record<string, string> {
  return { 'tls.crt': cert, 'tls.key': key }
}

function serialOf({ cert }: CertificatePair): string {
  return new X509Certificate(cert).serialNumber
}

function start(secret: MountedSecret, environment: Record<string, string> = {}): Promise<TestNode> {
  return startNode({
    environment: {
      BREAKWATER_TLS_CERT: secret.path('tls.crt'),
      BREAKWATER_TLS_KEY: secret.path('tls.key'),
      ...environment,
    },
  })
}

/** Lines of one kind so far. */
function said(node: TestNode, msg: string): number {
  return node.logs().filter((line) => line['msg'] === msg).length
}

const USED = 'new certificates are in use'
const REFUSED = 'new certificates refused; the old ones stay in use'

async function shown(node: TestNode): Promise<string> {
  using peer = await meet(
    { port: node.tlsPort, ca: authority.pair.cert },
    { clientId: unique('c') },
  )
  expect(peer.returnCode).toBe(0)
  return peer.serial
}

it('three certificate rotations, a bad pair and a good pair disturb none of 1,000 clients', async () => {
  const pairs = await Promise.all(Array.from({ length: 5 }, () => issue()))
  const [first, second, third, fourth, last] = pairs as [
    CertificatePair,
    CertificatePair,
    CertificatePair,
    CertificatePair,
    CertificatePair,
  ]
  const secret = new MountedSecret(filesOf(first))
  await using node = await start(secret)
  const tls = { ca: authority.pair.cert, servername: 'localhost' }
  const devices: WireClient[] = []
  for (let index = 0; index < DEVICES; index += 1) {
    const device = await WireClient.open({ host: node.host, port: node.tlsPort, tls })
    await device.connect({ clientId: `device-${index}` })
    devices.push(device)
  }

  let used = 0
  for (const pair of [second, third, fourth]) {
    secret.update(filesOf(pair))
    used += 1
    await expect.poll(() => said(node, USED)).toBe(used)
    expect(await shown(node)).toBe(serialOf(pair))
  }

  secret.update({ 'tls.crt': last.cert, 'tls.key': first.key })
  const line = await node.logged(({ msg }) => msg === REFUSED)
  expect(line).toMatchObject({ listener: 'mqtts', level: 'error' })
  expect(line['why']).toMatch(/^BREAKWATER_TLS_KEY: .* is not the key of the certificate/)
  expect(await shown(node)).toBe(serialOf(fourth))

  secret.update(filesOf(last))
  await expect.poll(() => said(node, USED)).toBe(used + 1)
  expect(await shown(node)).toBe(serialOf(last))

  const metrics = await MetricsPage.of(node)
  const reloads = 'breakwater_tls_reloads_total'
  expect(metrics.value(reloads, { listener: 'mqtts', result: 'ok' })).toBe(4)
  expect(metrics.value(reloads, { listener: 'mqtts', result: 'error' })).toBe(1)
  expect(
    metrics.value('breakwater_tls_certificate_not_after_timestamp_seconds', { listener: 'mqtts' }),
  ).toBe(new Date(new X509Certificate(last.cert).validTo).getTime() / 1_000)
  for (const device of devices) await device.expectSilence()
  const ended = node.logs().filter(({ clientId }) => String(clientId).startsWith('device-'))
  expect(ended.filter(({ msg }) => msg === 'connection closed')).toEqual([])
  for (const device of devices) device.socket.destroy()
}, 60_000)

it.each([
  [
    'has expired',
    async () => filesOf(await issue({ notAfter: new Date(Date.now() - 1_000) })),
    /expired on/,
  ],
  [
    'is not a certificate',
    async () => ({ ...filesOf(await issue()), 'tls.crt': 'x' }),
    /not a PEM/,
  ],
  [
    'has no key beside it',
    async () => ({ 'tls.crt': (await issue()).cert }),
    /cannot read .*ENOENT/,
  ],
])(
  'a new certificate that %s is not used, and one log line says so',
  async (_title, files, why) => {
    const first = await issue()
    const secret = new MountedSecret(filesOf(first))
    await using node = await startNode({
      limits: { filePollMs: 100 },
      environment: {
        BREAKWATER_TLS_CERT: secret.path('tls.crt'),
        BREAKWATER_TLS_KEY: secret.path('tls.key'),
      },
    })
    secret.update(await files())
    const line = await node.logged(({ msg }) => msg === REFUSED)
    expect(line['why']).toMatch(why)
    expect(await shown(node)).toBe(serialOf(first))
    const next = await issue()
    secret.update(filesOf(next))
    await node.logged(({ msg }) => msg === USED)
    // Many polls saw the bad files; they were told once.
    expect(said(node, REFUSED)).toBe(1)
    expect(await shown(node)).toBe(serialOf(next))
  },
)

it('a certificate and a key that are written in place, one after the other, are used when both are complete', async () => {
  const directory = temporaryDirectory('plain-')
  const [cert, key] = [join(directory, 'tls.crt'), join(directory, 'tls.key')]
  const write = (pair: CertificatePair): void => {
    writeFileSync(cert, pair.cert)
    writeFileSync(key, pair.key)
  }
  write(await issue())
  await using node = await startNode({
    environment: { BREAKWATER_TLS_CERT: cert, BREAKWATER_TLS_KEY: key },
  })
  const next = await issue()
  write(next)
  await node.logged(({ msg }) => msg === USED)
  expect(await shown(node)).toBe(serialOf(next))
  expect(said(node, REFUSED)).toBe(0)
})

it('old and new devices connect while both client authorities are configured, then only new devices', async () => {
  const [before, after] = [await Authority.create('before'), await Authority.create('after')]
  const server = await issue()
  const files = (bundle: string): Record<string, string> => ({
    ...filesOf(server),
    'ca.crt': bundle,
  })
  const secret = new MountedSecret(files(before.pair.cert))
  await using node = await start(secret, {
    BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
    BREAKWATER_TLS_CLIENT_AUTH: 'required',
  })
  const oldDevice = await before.issue({ commonName: 'old', usage: 'client' })
  const newDevice = await after.issue({ commonName: 'new', usage: 'client' })
  const codeOf = async (device: CertificatePair): Promise<number | undefined> => {
    const options = { port: node.tlsPort, ca: authority.pair.cert, ...device }
    using peer = await meet(options, { clientId: unique('c') })
    return peer.returnCode
  }
  expect([await codeOf(oldDevice), await codeOf(newDevice)]).toEqual([0, undefined])
  secret.update(files(before.pair.cert + after.pair.cert))
  await node.logged(({ msg }) => msg === USED)
  expect([await codeOf(oldDevice), await codeOf(newDevice)]).toEqual([0, 0])
  secret.update(files(after.pair.cert))
  await expect.poll(() => said(node, USED)).toBe(2)
  expect([await codeOf(oldDevice), await codeOf(newDevice)]).toEqual([undefined, 0])
})
