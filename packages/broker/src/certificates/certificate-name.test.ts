import { X509Certificate } from 'node:crypto'
import type { IdentityRule } from '@breakwater/config'
import { expect, test } from 'vitest'
import { Authority } from './authority.ts'
import { identityOf } from './certificate-name.ts'

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
])('%o finds %j', (identity, name) => {
  expect(nameOf(all, identity)).toBe(name)
})

test('of two that fit none is taken, of two of which one fits that one', async () => {
  const two = await certificate('x', 'a.example', 'b.example')
  expect(nameOf(two, rule('dns'))).toBeUndefined()
  expect(nameOf(two, rule('dns', /^(?:b\..*)$/u))).toBe('b.example')
})

test('a value that looks like several is one', async () => {
  const tricky = await certificate('x', 'spiffe://fleet/a, URI:spiffe://fleet/admin')
  expect(nameOf(tricky, rule('uri'))).toBe('spiffe://fleet/a, URI:spiffe://fleet/admin')
  expect(nameOf(tricky, rule('uri', /^(?:spiffe:\/\/fleet\/(admin))$/u))).toBeUndefined()
})

test.each(['a,b', 'a\\b', 'a"b', 'ä', 'a+b', ' a', 'x CN=y'])('a common name %j', async (name) => {
  expect(nameOf(await certificate(name), rule('cn'))).toBe(name)
})

test('named groups are found with the name, and never guessed', async () => {
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
