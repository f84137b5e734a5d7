import { expect, test } from 'vitest'
import { alternativeNamesOf, commonNameOf } from './subject-names.ts'

/** DER; of values below 256 bytes. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length < 0x80 ? [body.length] : [0x81, body.length]
  return Buffer.concat([Buffer.of(tag, ...length), body])
}

const SEQUENCE = 0x30
const COMMON_NAME = Buffer.of(0x06, 3, 0x55, 4, 3)
const SUBJECT_ALTERNATIVE_NAME = Buffer.of(0x06, 3, 0x55, 0x1d, 17)
const KEY_USAGE = Buffer.of(0x06, 3, 0x55, 0x1d, 15)

/** As much of a certificate as names are looked for in. */
function certificate(subject: Buffer, ...extensions: readonly Buffer[]): Buffer {
  const empty = der(SEQUENCE)
  const version = der(0xa0, Buffer.of(2, 1, 2))
  const rest = extensions.length === 0 ? [] : [der(0xa3, der(SEQUENCE, ...extensions))]
  const fields = [version, Buffer.of(2, 1, 1), empty, empty, empty, subject, empty, ...rest]
  return der(SEQUENCE, der(SEQUENCE, ...fields), empty, der(0x03))
}

function withCommonNames(...values: readonly Buffer[]): Buffer {
  const names = values.map((value) => der(0x31, der(SEQUENCE, COMMON_NAME, value)))
  return certificate(der(SEQUENCE, ...names))
}

const UTF8 = 0x0c
const PRINTABLE = 0x13
const TELETEX = 0x14
const IA5 = 0x16
const UNIVERSAL = 0x1c
const BMP = 0x1e

test.each([
  ['UTF8String', UTF8, Buffer.from('bö🛟'), 'bö🛟'],
  ['UTF8String that looks like an escape', UTF8, Buffer.from('a\\2Bb'), 'a\\2Bb'],
  ['UTF8String with a byte order mark', UTF8, Buffer.from('\uFEFFd7'), '\uFEFFd7'],
  ['UTF8String in a longer form', UTF8, Buffer.of(0x64, 0xc0, 0xb7), undefined],
  ['UTF8String with half a surrogate pair', UTF8, Buffer.of(0xed, 0xa0, 0x80), undefined],
  ['UTF8String with a NUL', UTF8, Buffer.from('ops\0.evil'), undefined],
  ['an empty UTF8String', UTF8, Buffer.of(), undefined],
  ['PrintableString', PRINTABLE, Buffer.from('d7'), 'd7'],
  ['IA5String', IA5, Buffer.from('d7@x'), 'd7@x'],
  ['IA5String beyond ASCII', IA5, Buffer.of(0x64, 0xf6), undefined],
  ['TeletexString of ASCII', TELETEX, Buffer.from('d7'), 'd7'],
  ['TeletexString beyond ASCII', TELETEX, Buffer.of(0x64, 0xf6), undefined],
  ['BMPString', BMP, Buffer.of(0, 0x64, 0, 0xf6), 'dö'],
  ['BMPString with a NUL', BMP, Buffer.of(0, 0x64, 0, 0), undefined],
  ['BMPString whose bytes are ASCII', BMP, Buffer.from('d7'), '\u6437'],
  ['BMPString of an odd length', BMP, Buffer.of(0, 0x64, 0), undefined],
  ['BMPString with a surrogate pair', BMP, Buffer.of(0xd8, 0x3d, 0xde, 0x00), undefined],
  ['UniversalString', UNIVERSAL, Buffer.of(0, 1, 0xf6, 0xdf), '🛟'],
  ['UniversalString beyond Unicode', UNIVERSAL, Buffer.of(0, 0x11, 0, 0), undefined],
  ['OCTET STRING', 0x04, Buffer.from('d7'), undefined],
])('a common name encoded as %s is decoded exactly or rejected', (_what, tag, bytes, name) => {
  expect(commonNameOf(withCommonNames(der(tag, bytes)))).toBe(name)
})

test('two common names in a subject give no common name, whatever their encodings', () => {
  const name = der(UTF8, Buffer.from('d7'))
  expect(commonNameOf(withCommonNames(name))).toBe('d7')
  for (const other of [name, der(UTF8), der(0x04, Buffer.from('x')), der(0x05)]) {
    expect(commonNameOf(withCommonNames(name, other))).toBeUndefined()
    expect(commonNameOf(withCommonNames(other, name))).toBeUndefined()
  }
})

function alternativeNames(...names: readonly Buffer[]): Buffer {
  return der(SEQUENCE, SUBJECT_ALTERNATIVE_NAME, der(0x04, der(SEQUENCE, ...names)))
}

const uri = (text: string): Buffer => der(0x86, Buffer.from(text, 'latin1'))

test('alternative names are distinguished by type, and an ambiguous text is rejected', () => {
  const critical = der(0x01, Buffer.of(0xff))
  const usage = der(SEQUENCE, KEY_USAGE, critical, der(0x04, Buffer.of(3, 2, 7, 0x80)))
  const names = [
    uri('spiffe://fleet/a, URI:spiffe://fleet/admin'),
    der(0x82, Buffer.from('URI:spiffe://fleet/ops')),
    der(0x81, Buffer.from('a@fleet.example')),
    // An address, a directory name and another name that hold text.
    der(0x87, Buffer.from('ops!')),
    der(0xa4, der(SEQUENCE)),
    der(0xa0, der(UTF8, Buffer.from('ops'))),
    ...['ops\0', 'öps', ''].map(uri),
  ]
  expect(alternativeNamesOf(certificate(der(SEQUENCE), usage, alternativeNames(...names)))).toEqual(
    {
      uri: ['spiffe://fleet/a, URI:spiffe://fleet/admin'],
      dns: ['URI:spiffe://fleet/ops'],
      email: ['a@fleet.example'],
    },
  )
})

test('two extensions of alternative names, which RFC 5280 forbids, give no alternative names [RFC 5280, 4.2]', () => {
  const none = { uri: [], dns: [], email: [] }
  const one = alternativeNames(uri('spiffe://fleet/a'))
  const two = certificate(der(SEQUENCE), one, alternativeNames(uri('spiffe://fleet/ops')))
  expect(alternativeNamesOf(two)).toEqual(none)
  expect(alternativeNamesOf(certificate(der(SEQUENCE)))).toEqual(none)
})
