/** Several certificates at one listener: a client is shown the one for the host that it names. */
import { X509Certificate } from 'node:crypto'
import { Authority, type CertificatePair } from '@breakwater/broker'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet } from './tls-peer.ts'

const authority = await Authority.create('fleet')

function issue(...alternativeNames: string[]): Promise<CertificatePair> {
  return authority.issue({ commonName: 'server', usage: 'server', alternativeNames })
}

const serialOf = ({ cert }: CertificatePair): string => new X509Certificate(cert).serialNumber

it('a listener chooses its certificate by host name, by wildcard, or takes the first, also after a rotation, with client certificates and tickets', async () => {
  const first = await issue('localhost')
  const [exact, wildcard] = [await issue('north.example'), await issue('*.south.example')]
  const device = await authority.issue({ commonName: 'buoy', usage: 'client' })
  const files = (north: CertificatePair): Record<string, string> => ({
    'a.crt': first.cert,
    'a.key': first.key,
    'b.crt': north.cert,
    'b.key': north.key,
    'c.crt': wildcard.cert,
    'c.key': wildcard.key,
    'ca.crt': authority.pair.cert,
  })
  const secret = new MountedSecret(files(exact))
  await using node = await startNode({
    environment: {
      BREAKWATER_TLS_CERT: ['a', 'b', 'c'].map((name) => secret.path(`${name}.crt`)).join(','),
      BREAKWATER_TLS_KEY: ['a', 'b', 'c'].map((name) => secret.path(`${name}.key`)).join(','),
      BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
      BREAKWATER_TLS_CLIENT_AUTH: 'required',
      BREAKWATER_TLS_IDENTITY: 'cn',
    },
  })
  const shown = async (
    servername: string,
    session?: Buffer,
  ): Promise<[string, Buffer, boolean]> => {
    using peer = await meet(
      {
        port: node.tlsPort,
        ca: authority.pair.cert,
        servername,
        checkServerIdentity: () => undefined,
        ...device,
        ...(session === undefined ? {} : { session }),
      },
      { clientId: unique('c') },
    )
    expect(peer.returnCode).toBe(0)
    return [peer.serial, peer.ticket as Buffer, peer.reused]
  }
  expect((await shown('localhost'))[0]).toBe(serialOf(first))
  expect((await shown('somewhere.else'))[0]).toBe(serialOf(first))
  expect((await shown('x.south.example'))[0]).toBe(serialOf(wildcard))
  expect((await shown('x.y.south.example'))[0]).toBe(serialOf(first))
  const [serial, ticket] = await shown('NORTH.example')
  expect(serial).toBe(serialOf(exact))
  expect((await shown('NORTH.example', ticket))[2]).toBe(true)

  const renewed = await issue('north.example')
  secret.update(files(renewed))
  await node.logged(({ msg }) => msg === 'new certificates are in use')
  expect((await shown('north.example'))[0]).toBe(serialOf(renewed))
  expect((await shown('localhost'))[0]).toBe(serialOf(first))
})
