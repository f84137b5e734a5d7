/** Further values of a certificate are variables of the access rules, with and without a resumed TLS session. */
import { Authority } from '@breakwater/broker'
import { expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet } from './tls-peer.ts'

const RULES = `
rules:
  - { allow: [publish, subscribe], topics: ['\${identity.tenant}/\${username}/#'] }
  - { allow: [publish, subscribe], topics: ['site/\${identity.site}/#'] }
`

it.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a device reaches only topics of the tenant in its certificate (%s)',
  async (version) => {
    const authority = await Authority.create('devices')
    const secret = new MountedSecret({ 'ca.crt': authority.pair.cert, 'acl.yaml': RULES })
    await using node = await startNode({
      environment: {
        BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
        BREAKWATER_TLS_CLIENT_AUTH: 'required',
        BREAKWATER_TLS_IDENTITY:
          'uri:spiffe://(?<tenant>[^/]+)/device/(?<name>[^/]+)(?:/(?<site>.+))?',
        BREAKWATER_ACL_FILE: secret.path('acl.yaml'),
      },
    })
    const issue = (uri: string) =>
      authority.issue({ commonName: 'x', usage: 'client', alternativeNames: [uri] })
    // The third one has a site that would reach further than it says: it stands for nothing.
    for (const [uri, granted] of [
      ['spiffe://north/device/buoy', [0, 0x80, 0x80, 0x80, 0x80]],
      ['spiffe://south/device/buoy/3', [0x80, 0, 0x80, 0, 0x80]],
      ['spiffe://south/device/buoy/#', [0x80, 0, 0x80, 0x80, 0x80]],
    ] as const) {
      const tls = {
        ...(await issue(uri)),
        ca: node.ca,
        servername: 'localhost',
        minVersion: version,
        maxVersion: version,
      }
      using first = await meet({ ...tls, port: node.tlsPort }, { clientId: 'a' })
      for (const session of [undefined, first.ticket]) {
        const address = { host: node.host, port: node.tlsPort }
        const client = await WireClient.open({
          ...address,
          tls: session === undefined ? tls : { ...tls, session },
        })
        await using _ = client
        expect((await client.connect({ clientId: 'b' })).returnCode).toBe(0)
        const filters = ['north/buoy/#', 'south/buoy/#', '#', 'site/3/#', 'site/#']
        expect(await client.subscribe(...filters.map((filter) => [filter, 0] as const))).toEqual(
          granted,
        )
      }
    }
  },
)
