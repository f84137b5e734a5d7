/** RSA certificates on both sides: full and resumed handshakes, also beside ECDSA certificates at one listener. */
import { Authority } from '@breakwater/broker'
import { expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { createOpensslAuthority } from '../kit/openssl-authority.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet } from './tls-peer.ts'

it.for(['TLSv1.2', 'TLSv1.3'] as const)('RSA certificates over %s', async (version, context) => {
  const [openssl] = skipWithout(context, 'openssl')
  const rsa = await createOpensslAuthority(openssl, temporaryDirectory('rsa-'))
  const ecdsa = await Authority.create('devices')
  const server = await rsa.issue('localhost', 'server')
  const secret = new MountedSecret({ 'ca.crt': rsa.pair.cert + ecdsa.pair.cert })
  await using node = await startNode({
    listen: ['mqtts://127.0.0.1:0'],
    environment: {
      BREAKWATER_TLS_CERT: server.certFile,
      BREAKWATER_TLS_KEY: server.keyFile,
      BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
      BREAKWATER_TLS_CLIENT_AUTH: 'required',
      BREAKWATER_TLS_IDENTITY: 'cn',
      BREAKWATER_CLIENT_ID: '${username}',
    },
  })
  const devices = {
    'rsa-buoy': await rsa.issue('rsa-buoy', 'client'),
    'ecdsa-buoy': await ecdsa.issue({ commonName: 'ecdsa-buoy', usage: 'client' }),
  }
  for (const [clientId, { cert, key }] of Object.entries(devices)) {
    const options = {
      port: node.tlsPort,
      ca: rsa.pair.cert,
      cert,
      key,
      minVersion: version,
      maxVersion: version,
    }
    using full = await meet(options, { clientId })
    expect([full.error, full.reused, full.returnCode]).toEqual([undefined, false, 0])
    const session = full.ticket ?? Buffer.alloc(0)
    using resumed = await meet({ ...options, session }, { clientId })
    expect([resumed.reused, resumed.returnCode]).toEqual([true, 0])
    using other = await meet({ ...options, session }, { clientId: 'somebody' })
    expect([other.reused, other.returnCode]).toEqual([true, 2])
  }
})
