import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { Authority, type LeafOptions } from './authority.ts'
import { ClientTrust } from './client-trust.ts'
import { parseRevocationLists } from './revocation-list.ts'

const authority = await Authority.create('devices')
const now = Date.now()

async function leaf(by = authority, options: Partial<LeafOptions> = {}): Promise<X509Certificate> {
  const { cert } = await by.issue({ commonName: 'buoy', usage: 'client', ...options })
  return new X509Certificate(cert)
}

const pem = (certificate: X509Certificate): string => certificate.toString()

test('a client certificate of an authority of the bundle is accepted, and one of another authority with the same name is refused', async () => {
  const twin = await Authority.create('devices')
  const trust = new ClientTrust(authority.pair.cert, undefined)
  expect(trust.refusal(await leaf(), now)).toBeUndefined()
  // What a ticket from before the authority was removed would bring.
  expect(trust.refusal(await leaf(twin), now)).toBe('UNABLE_TO_GET_ISSUER_CERT')
  const both = new ClientTrust(twin.pair.cert + authority.pair.cert, undefined)
  expect(both.refusal(await leaf(twin), now)).toBeUndefined()
  expect(both.refusal(await leaf(), now)).toBeUndefined()
})

test('validity dates are checked now, not at the time of the handshake', async () => {
  const trust = new ClientTrust(authority.pair.cert, undefined)
  const certificate = await leaf(authority, { notAfter: new Date(now + 60_000) })
  expect(trust.refusal(certificate, now)).toBeUndefined()
  expect(trust.refusal(certificate, now + 61_000)).toBe('CERT_HAS_EXPIRED')
  expect(trust.refusal(certificate, now - 3_600_000)).toBe('CERT_NOT_YET_VALID')
})

test('a client certificate below an expired authority is refused, unless that authority was renewed', async () => {
  const short = await Authority.create('short', 1)
  const certificate = await leaf(short, { notAfter: new Date(now + 10 * 86_400_000) })
  const later = now + 2 * 86_400_000
  expect(new ClientTrust(short.pair.cert, undefined).refusal(certificate, later)).toBe(
    'CERT_HAS_EXPIRED',
  )
})

test('a revoked certificate is refused, and so is a certificate below a revoked authority', async () => {
  const root = await Authority.create('root', 100, 1)
  const region = await root.subordinate('region')
  const bundle = root.pair.cert + region.pair.cert
  const [good, bad] = [await leaf(region), await leaf(region)]
  const lists = await region.revoke({ certificates: [pem(bad)] })
  const trust = new ClientTrust(bundle, lists)
  expect(trust.refusal(good, now)).toBeUndefined()
  expect(trust.refusal(bad, now)).toBe('CERT_REVOKED')
  const all = lists + (await root.revoke({ certificates: [region.pair.cert] }))
  expect(new ClientTrust(bundle, all).refusal(good, now)).toBe('CERT_REVOKED')
})

test('a serial number is revoked only for its issuer', async () => {
  const other = await Authority.create('others')
  const bad = await leaf(other)
  const lists = await other.revoke({ certificates: [pem(bad)] })
  const trust = new ClientTrust(authority.pair.cert + other.pair.cert, lists)
  expect(trust.refusal(bad, now)).toBe('CERT_REVOKED')
  expect(trust.refusal(await leaf(), now)).toBeUndefined()
})

test('a revocation list is used only if an authority of the bundle has signed it', async () => {
  const twin = await Authority.create('devices')
  const lists = await twin.revoke({ certificates: [] })
  expect(() => new ClientTrust(authority.pair.cert, lists)).toThrow(/is not signed by an authority/)
  const own = await authority.revoke({ certificates: [pem(await leaf())] })
  const bytes = Buffer.from(own.replace(/-----[^-]+-----/g, ''), 'base64')
  // One bit of a serial number.
  const at = bytes.length - 100
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  const forged = `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----\n`
  expect(() => new ClientTrust(authority.pair.cert, forged)).toThrow()
})

test('a revocation list that is older, or missing while its authority stays, is refused, since revocations would be lost', async () => {
  const list = (ageMs: number): Promise<string> =>
    authority.revoke({ certificates: [], thisUpdate: new Date(now - ageMs) })
  const { cert } = authority.pair
  const other = await Authority.create('others')
  const [older, newer] = [
    new ClientTrust(cert, await list(7_200_000)),
    new ClientTrust(cert, await list(3_600_000)),
  ]
  expect([newer.isOlderThan(older), older.isOlderThan(newer)]).toEqual([false, true])
  expect(newer.isOlderThan(newer)).toBe(false)
  const without = new ClientTrust(cert + other.pair.cert, await other.revoke({ certificates: [] }))
  expect(without.isOlderThan(newer)).toBe(true)
  const gone = new ClientTrust(other.pair.cert, await other.revoke({ certificates: [] }))
  expect(gone.isOlderThan(newer)).toBe(false)
})

test('a bundle and a revocation list with other content are refused, and the error names the file', async () => {
  const device = await leaf()
  expect(() => new ClientTrust('x', undefined)).toThrow(/BEGIN CERTIFICATE/)
  expect(() => new ClientTrust(pem(device), undefined)).toThrow(/is no authority/)
  expect(() => new ClientTrust(authority.pair.cert, 'x')).toThrow(/BEGIN X509 CRL/)
})

test('a truncated revocation list is refused, wherever it ends', async () => {
  const list = await authority.revoke({ certificates: [pem(await leaf())] })
  const bytes = Buffer.from(list.replace(/-----[^-]+-----/g, ''), 'base64')
  const pemOf = (some: Buffer): string =>
    `-----BEGIN X509 CRL-----\n${some.toString('base64')}\n-----END X509 CRL-----\n`
  expect(parseRevocationLists(pemOf(bytes))[0]?.serials.size).toBe(1)
  for (let length = 0; length < bytes.length; length += 1)
    expect(() => parseRevocationLists(pemOf(bytes.subarray(0, length)))).toThrow()
})
