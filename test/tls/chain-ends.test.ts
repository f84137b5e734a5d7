/** Certificate chains with an expired certificate above the first one, of servers and of clients. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority, runCommand, type CertificatePair } from '@breakwater/broker'
import { describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { meet } from './tls-peer.ts'

const DAY_MS = 86_400_000
const inDays = (days: number): Date => new Date(Date.now() + days * DAY_MS)
const LONG_AGO = inDays(-1_000)

const oldRoot = await Authority.create('old root', -1, 2, LONG_AGO)
const root = await Authority.create('root', 1_000, 2)
const region = await root.subordinate('region', { notAfter: inDays(300) })
/** The same authority by the old root, which has ended; it has itself not. */
const regionByOld = await oldRoot.subordinate('region', { of: region, notAfter: inDays(900) })
/** The same one, ended itself. */
const regionEnded = await root.subordinate('region', {
  of: region,
  notBefore: LONG_AGO,
  notAfter: inDays(-2),
})
const soon = await root.subordinate('soon', { notAfter: inDays(10) })

function serverOf(authority: Authority): Promise<CertificatePair> {
  const alternativeNames = ['localhost', '127.0.0.1']
  return authority.issue({ commonName: 'localhost', usage: 'server', alternativeNames })
}

const pem = (...of: readonly Authority[]): string => of.map(({ pair }) => pair.cert).join('')

/** Settings of a listener with this chain, and for clients of these authorities. */
function settings(
  server: CertificatePair,
  above: readonly Authority[],
  clients?: readonly Authority[],
): Readonly<Record<string, string>> {
  const directory = mkdtempSync(join(temporaryDirectory('chain-'), 'files-'))
  const file = (name: string, content: string): string => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  return {
    BREAKWATER_TLS_CERT: file('server.crt', server.cert + pem(...above)),
    BREAKWATER_TLS_KEY: file('server.key', server.key),
    ...(clients === undefined
      ? {}
      : {
          BREAKWATER_TLS_CLIENT_CA: file('ca.crt', pem(...clients)),
          BREAKWATER_TLS_CLIENT_AUTH: 'required',
          BREAKWATER_TLS_IDENTITY: 'cn',
        }),
  }
}

async function checkConfig(
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly said: string }> {
  let said = ''
  const hear = (text: string): void => {
    said += text
  }
  const all = { BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0', ...environment }
  const code = await runCommand(['check-config'], {
    environment: all,
    print: hear,
    complain: hear,
  })
  return { code, said }
}

/** Every order of three things. */
function orders<T>([a, b, c]: readonly [T, T, T]): T[][] {
  return [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
  ]
}

describe('the certificate chain of a server', () => {
  it('is valid until its first certificate expires', async () => {
    const server = await serverOf(region)
    const { code, said } = await checkConfig(settings(server, [regionEnded]))
    expect(code).toBe(1)
    expect(said).toMatch(
      /^breakwater: BREAKWATER_TLS_CERT: in \S+ the certificate of the issuer CN=region expired on .*; replace it by /,
    )
    await using node = await startNode({ environment: settings(await serverOf(soon), [soon]) })
    const page = await MetricsPage.of(node)
    const at = page.value('breakwater_tls_certificate_not_after_timestamp_seconds')
    expect(Math.round((at * 1_000 - Date.now()) / DAY_MS)).toBe(10)
  })

  it('may contain an expired issuer beside a valid one, in either order', async () => {
    const server = await serverOf(region)
    for (const above of [
      [region, regionEnded],
      [regionEnded, region],
    ])
      expect(await checkConfig(settings(server, above))).toMatchObject({ code: 0 })
  })

  it('may contain an expired root, which clients do not use', async () => {
    const server = await serverOf(region)
    expect(await checkConfig(settings(server, [region, oldRoot]))).toMatchObject({ code: 0 })
  })
})

describe('the client authorities of a listener', () => {
  it('are refused when all of them have expired', async () => {
    const server = await serverOf(root)
    const { code, said } = await checkConfig(settings(server, [], [oldRoot]))
    expect(code).toBe(1)
    expect(said).toMatch(
      /^breakwater: BREAKWATER_TLS_CLIENT_CA: every authority in \S+ has ended, /,
    )
  })

  it('are reported by check-config, the log and a metric when one of them has expired', async () => {
    const files = settings(await serverOf(root), [], [root, oldRoot])
    const { code, said } = await checkConfig(files)
    expect(code).toBe(0)
    expect(said).toMatch(
      /^BREAKWATER_TLS_CLIENT_CA: in \S+ the authority CN=old root has ended on .*\nconfiguration is sound\n$/,
    )
    await using node = await startNode({ environment: files })
    expect(await node.logged(({ authority }) => authority === 'CN=old root')).toMatchObject({
      level: 'warn',
    })
    const page = await MetricsPage.of(node)
    const at = page.value('breakwater_tls_client_authority_not_after_timestamp_seconds')
    expect(Math.round((at * 1_000 - Date.now()) / DAY_MS)).toBe(-1)
  })

  it.each(orders([root, region, regionByOld] as const).map((order) => [order, oldRoot] as const))(
    'accept a client by a valid chain beside an expired one, in the order %#',
    async (order, ended) => {
      const server = await serverOf(root)
      for (const bundle of [
        [ended, ...order],
        [...order, ended],
      ]) {
        await using node = await startNode({ environment: settings(server, [], bundle) })
        const { cert, key } = await region.issue({ commonName: 'buoy', usage: 'client' })
        using peer = await meet(
          { port: node.tlsPort, ca: root.pair.cert, cert, key },
          { clientId: unique('c') },
        )
        expect([peer.error, peer.returnCode]).toEqual([undefined, 0])
      }
    },
  )
})
