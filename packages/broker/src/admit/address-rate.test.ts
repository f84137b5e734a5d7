import { expect, test } from 'vitest'
import { AddressRate, networkOf } from './address-rate.ts'

test.each([
  ['10.1.2.3', '10.1.2.3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::FFFF:10.1.2.3', '10.1.2.3'],
  // As they stand in a PROXY header of version 2, or of version 1 from a proxy that does not shorten.
  ['0:0:0:0:0:ffff:a01:203', '10.1.2.3'],
  ['::ffff:0a01:0203', '10.1.2.3'],
  ['::fffe:a01:203', '0:0:0:0'],
  ['64:ff9b::10.1.2.3', '64:ff9b:0:0'],
  ['::', '0:0:0:0'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:0:0:ffff:1:2:3', '2001:db8:0:0'],
  ['2001:DB8:0001::5:6', '2001:db8:1:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['1:2:3:4:5:6:7::', '1:2:3:4'],
  ['unknown', 'unknown'],
])('%s belongs to the network %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})

test('each network has its own connection tokens, which are refilled', () => {
  const rate = new AddressRate(2)
  const now = performance.now()
  const asked = (address: string, ms: number): boolean => rate.takes(networkOf(address), now + ms)
  expect(['a', 'a', 'a'].map(() => asked('10.0.0.1', 1))).toEqual([true, true, false])
  expect(asked('10.0.0.2', 1)).toBe(true)
  expect([asked('2001:db8::1', 1), asked('2001:db8::2', 1), asked('2001:db8::3', 1)]).toEqual([
    true,
    true,
    false,
  ])
  // A refusal costs no token: a client that waits is admitted.
  expect([asked('10.0.0.1', 502), asked('10.0.0.1', 503)]).toEqual([true, false])
})

test('the table of networks is bounded, and keeps the networks seen last', () => {
  const rate = new AddressRate(1)
  const now = performance.now()
  for (let network = 0; network < 40_000; network += 1) {
    rate.takes(`10.${network >> 16}.${(network >> 8) & 255}.${network & 255}`, now)
    if (network % 1_000 === 0) rate.takes('192.0.2.1', now)
  }
  expect(rate.size).toBe(16_384)
  expect(rate.takes('192.0.2.1', now)).toBe(false)
  expect(rate.takes('10.0.0.1', now)).toBe(true)
})
