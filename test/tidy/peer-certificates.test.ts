/**
 * Node 24 ends with a segmentation fault where it makes a legacy object of a certificate whose curve has no
 * NIST name (secp256k1, brainpool): a client could end a node by showing one.
 */
import { expect, test } from 'vitest'
import { filesBelow } from './source-files.ts'

const LEGACY = /\.(?:getPeerCertificate|toLegacyObject)\(/

test('no code asks Node for a certificate as a legacy object', () => {
  const files = filesBelow('packages', ['.ts'])
  expect(files.length).toBeGreaterThan(100)
  expect(files.filter(({ text }) => LEGACY.test(text)).map(({ path }) => path)).toEqual([])
})

test('the check for legacy certificate objects finds a call that asks for one', () => {
  expect('const leaf = socket.getPeerCertificate(true)').toMatch(LEGACY)
  expect('socket.getPeerX509Certificate()').not.toMatch(LEGACY)
})
