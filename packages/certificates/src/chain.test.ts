import { expect, test } from 'vitest'
import { Authority } from './authority.ts'
import { bestChain, readCertificates, type Known } from './chain.ts'
import { ClientTrust } from './client-trust.ts'

const DAY_MS = 86_400_000
const now = Date.now()
const inDays = (days: number): Date => new Date(now + days * DAY_MS)
const LONG_AGO = inDays(-1_000)

const oldRoot = await Authority.create('old root', -1, 2, LONG_AGO)
const newRoot = await Authority.create('new root', 1_000, 2)
/** One authority with one key, signed by both roots: by the old one its way up has ended. */
const region = await newRoot.subordinate('region', { notAfter: inDays(300) })
const regionByOld = await oldRoot.subordinate('region', { of: region, notAfter: inDays(900) })
const leaf = await region.issue({ commonName: 'buoy', usage: 'client', notAfter: inDays(90) })

const known = ({ pair }: { pair: { cert: string } }): Known =>
  readCertificates(pair.cert).at(0) as Known
const leafKnown = known({ pair: leaf })
const days = (ms: number): number => Math.round((ms - now) / DAY_MS)

/** Every order of some things. */
function orders<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((one, at) => orders(items.toSpliced(at, 1)).map((rest) => [one, ...rest]))
}

test('a certificate chain expires with its first expiring certificate', async () => {
  const short = await newRoot.subordinate('short', { notAfter: inDays(10) })
  const below = known({ pair: await short.issue({ commonName: 'x', usage: 'server' }) })
  const chain = bestChain(below, [known(short)], now)
  expect([days(chain.endsMs), chain.endsFirst.certificate.subject]).toEqual([10, 'CN=short'])
  const ended = await newRoot.subordinate('ended', { notBefore: LONG_AGO, notAfter: inDays(-3) })
  const dead = known({ pair: await ended.issue({ commonName: 'x', usage: 'server' }) })
  expect(days(bestChain(dead, [known(ended)], now).endsMs)).toBe(-3)
  expect(days(bestChain(dead, [], now).endsMs)).toBe(90)
})

test('of several certificate chains the best counts, in any order of the bundle', () => {
  const all = [oldRoot, newRoot, region, regionByOld].map(known)
  for (const order of orders(all)) expect(days(bestChain(leafKnown, order, now).endsMs)).toBe(90)
  for (const order of orders([oldRoot, regionByOld].map(known)))
    expect(days(bestChain(leafKnown, order, now).endsMs)).toBe(-1)
})

test('a chain that becomes valid later does not replace a chain that is valid now', async () => {
  const later = await newRoot.subordinate('region', {
    of: region,
    notBefore: inDays(5),
    notAfter: inDays(80),
  })
  const soon = await newRoot.subordinate('region', { of: region, notAfter: inDays(20) })
  for (const order of orders([later, soon, newRoot].map(known)))
    expect(days(bestChain(leafKnown, order, now).endsMs)).toBe(20)
})

test('the chain search ends with authorities that have signed each other', async () => {
  const east = await Authority.create('east', 500, 3)
  const west = await Authority.create('west', 400, 3)
  const ring = [
    await east.subordinate('west', { of: west }),
    await west.subordinate('east', { of: east }),
  ]
  const below = known({ pair: await east.issue({ commonName: 'x', usage: 'client' }) })
  expect(days(bestChain(below, ring.map(known), now).endsMs)).toBe(90)
})

test('an authority with the name of the issuer and another key is not the issuer', async () => {
  const twin = await newRoot.subordinate('region', { notBefore: LONG_AGO, notAfter: inDays(-10) })
  expect(days(bestChain(leafKnown, [known(twin)], now).endsMs)).toBe(90)
})

test('a bundle gives the expiry of each of its authorities by its best chain', () => {
  const bundle = (of: readonly Authority[]): ClientTrust =>
    new ClientTrust(of.map(({ pair }) => pair.cert).join(''), undefined)
  for (const order of orders([oldRoot, newRoot, region, regionByOld])) {
    const trust = bundle(order)
    expect(trust.ends(now).map(({ name, endsMs }) => [name, days(endsMs)])).toEqual([
      ['CN=old root', -1],
      ['CN=region', 300],
      ['CN=new root', 1_000],
    ])
    expect(trust.refusal(leafKnown.certificate, now)).toBeUndefined()
    // The way that has ended is not left to OpenSSL, which would not come back from it.
    expect(trust.usable(now)).not.toContain(regionByOld.pair.cert.trim())
    expect(trust.usable(now)).toContain(region.pair.cert.trim())
  }
  const ended = bundle([oldRoot, regionByOld])
  expect(ended.usable(now)).toContain(regionByOld.pair.cert.trim())
})
