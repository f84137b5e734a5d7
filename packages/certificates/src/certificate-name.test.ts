import { X509Certificate } from 'node:crypto'
import type { IdentityRule } from '@breakwater/config'
import { expect, test } from 'vitest'
import { Authority } from './authority.ts'
import { identityOf, namesOf } from './certificate-name.ts'

const authority = await Authority.create('devices')

async function certificate(commonName: string, ...names: string[]): Promise<X509Certificate> {
  const { cert } = await authority.issue({ commonName, usage: 'client', alternativeNames: names })
  return new X509Certificate(cert)
}

const rule = (field: IdentityRule['field'], pattern?: RegExp): IdentityRule => ({ field, pattern })

const nameOf = (one: X509Certificate, by: IdentityRule): string | undefined =>
  identityOf(one, by)?.name

const all = await certificate(
  'buoy 7',
  'spiffe://fleet/device/7',
  'buoy-7.fleet.example',
  'buoy@fleet.example',
  '10.0.0.7',
)

test.each([
  [rule('cn'), 'buoy 7'],
  [rule('uri'), 'spiffe://fleet/device/7'],
  [rule('uri', /^(?:spiffe:\/\/fleet\/device\/(\d+))$/u), '7'],
  [rule('dns'), 'buoy-7.fleet.example'],
  [rule('dns', /^(?:buoy-.*)$/u), 'buoy-7.fleet.example'],
  [rule('email', /^(?:(.+)@fleet\.example)$/u), 'buoy'],
  [rule('dns', /^(?:other)$/u), undefined],
  [rule('uri', /^(?:spiffe:\/\/fleet\/device\/7()?)$/u), undefined],
])('the identity rule %o finds the name %j in a certificate', (identity, name) => {
  expect(nameOf(all, identity)).toBe(name)
})

test('two matching names in a certificate give no name, one matching name of two is the name', async () => {
  const two = await certificate('x', 'a.example', 'b.example')
  expect(nameOf(two, rule('dns'))).toBeUndefined()
  expect(nameOf(two, rule('dns', /^(?:b\..*)$/u))).toBe('b.example')
})

test('an alternative name that looks like several names is one name', async () => {
  const tricky = await certificate('x', 'spiffe://fleet/a, URI:spiffe://fleet/admin')
  expect(nameOf(tricky, rule('uri'))).toBe('spiffe://fleet/a, URI:spiffe://fleet/admin')
  expect(nameOf(tricky, rule('uri', /^(?:spiffe:\/\/fleet\/(admin))$/u))).toBeUndefined()
})

test.each(['a,b', 'a\\b', 'a"b', 'ä', 'a+b', ' a', 'x CN=y'])(
  'the common name %j is found unchanged',
  async (name) => {
    expect(nameOf(await certificate(name), rule('cn'))).toBe(name)
  },
)

test('named groups of an identity rule are found with the name, and never guessed', async () => {
  const pattern = /^(?:spiffe:\/\/(?<tenant>[^/]+)\/(?<name>[^/]+)(?:\/(?<site>[^/]+))?)$/u
  const one = await certificate('x', 'spiffe://north/buoy-7')
  expect(identityOf(one, rule('uri', pattern))).toEqual({
    name: 'buoy-7',
    groups: { tenant: 'north' },
  })
  const two = await certificate('x', 'spiffe://north/buoy-7', 'spiffe://south/buoy-7')
  expect(identityOf(two, rule('uri', pattern))).toBeUndefined()
  // A name that took no part is not replaced by another group.
  const absent = /^(?:spiffe:\/\/(?<tenant>[^/]+)\/(?:buoy-7|(?<name>.+)))$/u
  expect(identityOf(one, rule('uri', absent))).toBeUndefined()
  // Without one of that name the first group is the name.
  const first = /^(?:spiffe:\/\/(?<tenant>[^/]+)\/[^/]+)$/u
  expect(identityOf(one, rule('uri', first))).toEqual({
    name: 'north',
    groups: { tenant: 'north' },
  })
})

const CN = Buffer.of(0x06, 3, 0x55, 4, 3)
const SERIAL_NUMBER = Buffer.of(0x06, 3, 0x55, 4, 5)
const ORGANIZATIONAL_UNIT = Buffer.of(0x06, 3, 0x55, 4, 11)
const UTF8 = 0x0c
const PRINTABLE = 0x13

/** DER; of short values only. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length < 0x80 ? [body.length] : [0x81, body.length]
  return Buffer.concat([Buffer.of(tag, ...length), body])
}

function attribute(type: Buffer, value: string | Buffer, tag = UTF8): Buffer {
  return der(0x30, type, der(tag, Buffer.from(value)))
}

/** A subject: each list is one relative name. */
async function subject(...names: readonly (readonly Buffer[])[]): Promise<X509Certificate> {
  const sequence = der(0x30, ...names.map((attributes) => der(0x31, ...attributes)))
  const { cert } = await authority.issue({
    commonName: 'unused',
    usage: 'client',
    subject: new Uint8Array(sequence),
  })
  return new X509Certificate(cert)
}

test('the common name is the value of its attribute, also among several attributes of one relative name', async () => {
  const serial = attribute(SERIAL_NUMBER, '4711', PRINTABLE)
  const unit = attribute(ORGANIZATIONAL_UNIT, 'L1')
  const together = await subject([attribute(CN, 'd7'), serial])
  expect(nameOf(together, rule('cn'))).toBe('d7')
  expect(nameOf(await subject([unit, attribute(CN, 'd7')]), rule('cn'))).toBe('d7')
  expect(nameOf(await subject([unit], [attribute(CN, 'd7')], [serial]), rule('cn'))).toBe('d7')
  // What Node writes for the first one is a value that another certificate may have.
  const tricky = await subject([attribute(CN, 'd7 + serialNumber=4711')])
  expect(nameOf(tricky, rule('cn'))).toBe('d7 + serialNumber=4711')
  // A value that looks like an attribute is not an attribute.
  expect(nameOf(await subject([attribute(ORGANIZATIONAL_UNIT, 'x\nCN=d7')]), rule('cn'))).toBe(
    undefined,
  )
  expect(nameOf(await subject([attribute(ORGANIZATIONAL_UNIT, 'CN=d7')]), rule('cn'))).toBe(
    undefined,
  )
})

test('a certificate with two common names has no name, in any position and for any rule', async () => {
  const d7 = attribute(CN, 'd7')
  for (const other of [attribute(CN, 'ops'), d7])
    for (const names of [[[d7, other]], [[d7], [other]], [[other], [d7]]]) {
      const two = await subject(...names)
      expect(nameOf(two, rule('cn'))).toBeUndefined()
      expect(nameOf(two, rule('cn', /^(?:d\d)$/u))).toBeUndefined()
      expect(namesOf(two).cn).toBeUndefined()
    }
})

test('a certificate without alternative names has no name by an alternative-name rule', async () => {
  expect(namesOf(await certificate('x'))).toEqual({ cn: 'x', uri: [], dns: [], email: [] })
})
