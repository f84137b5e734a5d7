/** Every kind of key that a certificate may have, on both sides, over both versions of TLS. */
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ClientTrust } from '../../packages/certificates/src/client-trust.ts'
import { startProgram } from '../clients/program-run.ts'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import {
  createOpensslAuthority,
  type OpensslAuthority,
  type OpensslPair,
} from '../kit/openssl-authority.ts'
import { findProgram, skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet } from './tls-peer.ts'

type NewKey = readonly [string, ...string[]]

const ec = (curve: string): NewKey => ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`]

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

interface Kind {
  readonly newKey: NewKey
  readonly groups: string
  readonly versions: readonly (typeof VERSIONS)[number][]
}

/** @param curve for clients whose own default leaves it out, by OpenSSL's name */
function kind(newKey: NewKey, curve?: string, versions: Kind['versions'] = VERSIONS): Kind {
  return {
    newKey,
    groups: curve === undefined ? 'X25519:P-256' : `X25519:P-256:${curve}`,
    versions,
  }
}

const KEYS = {
  'P-256': kind(ec('P-256')),
  'P-384': kind(ec('P-384'), 'P-384'),
  'P-521': kind(ec('P-521'), 'P-521'),
  // TLS 1.3 has no signature for it (RFC 8446, section 4.2.3).
  secp256k1: kind(ec('secp256k1'), 'secp256k1', ['TLSv1.2']),
  brainpoolP256r1: kind(ec('brainpoolP256r1'), 'brainpoolP256r1'),
  brainpoolP384r1: kind(ec('brainpoolP384r1'), 'brainpoolP384r1'),
  brainpoolP512r1: kind(ec('brainpoolP512r1'), 'brainpoolP512r1'),
  Ed25519: kind(['ed25519']),
  Ed448: kind(['ed448']),
  'RSA 2048': kind(['rsa:2048']),
  'RSA 4096': kind(['rsa:4096']),
  'RSA-PSS': kind(['rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048']),
}

type KeyName = keyof typeof KEYS

const names = Object.keys(KEYS) as KeyName[]
const cases = names.flatMap((name) =>
  KEYS[name].versions.map((version) => [name, version] as const),
)

const openssl = findProgram('openssl')

describe.skipIf(openssl === undefined)('a certificate with a key of type', () => {
  let authority: OpensslAuthority
  let node: TestNode
  const pairs = new Map<KeyName, OpensslPair>()

  beforeAll(async () => {
    const folder = temporaryDirectory('keys-')
    authority = await createOpensslAuthority(openssl as string, folder, ec('P-384'))
    await Promise.all(
      names.map(async (name) =>
        pairs.set(name, await authority.issue('buoy', 'both', KEYS[name].newKey)),
      ),
    )
    const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
    node = await startNode({
      listen: names.map((name) => {
        const { certFile, keyFile } = pairOf(name)
        return `mqtts://127.0.0.1:0?cert=${certFile}&key=${keyFile}`
      }),
      environment: {
        BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
        BREAKWATER_TLS_CLIENT_AUTH: 'required',
        BREAKWATER_TLS_IDENTITY: 'cn',
      },
    })
  })
  afterAll(() => node[Symbol.asyncDispose]())

  const pairOf = (name: KeyName): OpensslPair => pairs.get(name) as OpensslPair
  const portOf = (name: KeyName): number => node.ports[names.indexOf(name)] as number

  it.each(cases)('%s authenticates a client and a server to each other over %s', async (...it) => {
    const [name, version] = it
    const { cert, key } = pairOf(name)
    using peer = await meet(
      {
        port: portOf(name),
        ...trustIn(authority, name),
        cert,
        key,
        minVersion: version,
        maxVersion: version,
        ecdhCurve: KEYS[name].groups,
      },
      { clientId: unique('c') },
    )
    expect([peer.error, peer.returnCode]).toEqual([undefined, 0])
    expect(peer.socket.getEphemeralKeyInfo()).toMatchObject({ name: 'X25519' })
  })

  // Brainpool over TLS 1.3 came with OpenSSL 3.2, which a machine may not have.
  it.for(cases.filter(([name, version]) => version === 'TLSv1.2' || !name.startsWith('brainpool')))(
    '%s authenticates openssl s_client over %s',
    async ([name, version], context) => {
      const [program] = skipWithout(context, 'openssl')
      const { certFile, keyFile } = pairOf(name)
      const to = ['-connect', `127.0.0.1:${portOf(name)}`, '-CAfile', authority.pair.certFile]
      const own = ['-cert', certFile, '-key', keyFile, '-curves', KEYS[name].groups]
      const only = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'
      const { stdout, stderr } = await startProgram([program], ['s_client', only, ...to, ...own], {
        input: 'Q\n',
      }).ended
      expect(stdout).toMatch(/Verify return code: 0 \(ok\)/)
      expect(stderr).not.toMatch(/alert/)
    },
  )

  it.each([
    ['X25519MLKEM768:X25519', 'X25519'],
    ['P-521:P-384:X25519', 'X25519'],
    ['P-384:P-256', 'P-256'],
    ['P-384', 'P-384'],
    ['X25519MLKEM768', 'X25519MLKEM768'],
  ])(
    'a P-256 certificate is shown to a client with the groups %s, and both agree on %s, the cheapest common group',
    async (groups, agreed) => {
      const { cert, key } = pairOf('P-256')
      const socket = connectTls({
        port: portOf('P-256'),
        host: '127.0.0.1',
        servername: 'localhost',
        ca: authority.pair.cert,
        cert,
        key,
        minVersion: 'TLSv1.3',
        ecdhCurve: groups,
      })
      await once(socket, 'secureConnect')
      expect(socket.getEphemeralKeyInfo()).toMatchObject({ name: opensslName(agreed) })
      socket.destroy()
    },
  )
})

it.for(['RSA 2048', 'RSA-PSS', 'P-521', 'brainpoolP384r1', 'Ed25519'] as const)(
  'the node reads a revocation list that is signed with a key of type %s',
  async (name, context) => {
    const [program] = skipWithout(context, 'openssl')
    const folder = temporaryDirectory('lists-')
    const authority = await createOpensslAuthority(program, folder, KEYS[name].newKey)
    const other = await createOpensslAuthority(
      program,
      temporaryDirectory('lists-'),
      KEYS[name].newKey,
    )
    const list = await authority.emptyList()
    expect(() => new ClientTrust(authority.pair.cert, list)).not.toThrow()
    // Of another authority with the same name.
    expect(() => new ClientTrust(other.pair.cert, list)).toThrow(/is not signed/)
  },
)

/**
 * What Node's own client does with a certificate that it trusts ends the process (24.21) where the curve has no
 * NIST name; openssl looks at that one.
 */
function trustIn({ pair }: OpensslAuthority, name: KeyName): ConnectionOptions {
  const isUnnamed = name.startsWith('brainpool') || name === 'secp256k1'
  return isUnnamed ? { rejectUnauthorized: false } : { ca: pair.cert }
}

/** The curves of NIST have other names where OpenSSL reports them. */
function opensslName(group: string): string {
  if (group === 'P-256') return 'prime256v1'
  return group.replace(/^P-(\d+)$/, 'secp$1r1')
}
