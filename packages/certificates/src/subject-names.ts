/**
 * The names that a certificate holds, read from its DER: the value of each attribute and of each alternative name
 * alone (RFC 5280, sections 4.1.2.4 and 4.2.1.6). A text that is made of a whole name, as Node and OpenSSL write it,
 * cannot be taken apart again without guessing: there `CN = d7 + serialNumber = 4711` is two attributes or one value.
 *
 * In: a certificate that OpenSSL has read. Out: values. What is not certain to be one text is none: another
 * encoding than ASCII or Unicode, bytes that are wrong in it, a NUL, nothing at all.
 */
import { partsOf } from './certificate-facts.ts'
import { DerReader, readOid, Tag, type DerValue } from './der.ts'

/** By the tags of their choice in GeneralName. */
const ALTERNATIVE_NAMES = { email: 0x81, dns: 0x82, uri: 0x86 } as const

export type AlternativeName = keyof typeof ALTERNATIVE_NAMES

/** 2.5.4.3 */
const COMMON_NAME = '550403'
/** 2.5.29.17 */
const SUBJECT_ALTERNATIVE_NAME = '551d11'

const STRING_TYPES = new Map<number, (bytes: Buffer) => string | undefined>([
  [0x0c, utf8],
  // NumericString, PrintableString, IA5String, VisibleString; and TeletexString as far as all agree on it.
  [0x12, ascii],
  [0x13, ascii],
  [0x14, ascii],
  [0x16, ascii],
  [0x1a, ascii],
  [0x1c, (bytes) => codePoints(bytes, 4)],
  [0x1e, (bytes) => codePoints(bytes, 2)],
])

/** The common name; undefined without one, and where there are two and nobody could say which. */
export function commonNameOf(raw: Buffer): string | undefined {
  const values: DerValue[] = []
  const names = new DerReader(raw, partsOf(raw).subject)
  while (names.more) {
    // A relative name may hold several attributes.
    const attributes = new DerReader(raw, names.expect(Tag.SET))
    while (attributes.more) {
      const attribute = new DerReader(raw, attributes.expect(Tag.SEQUENCE))
      const isCommonName = readOid(raw, attribute.expect(Tag.OID)) === COMMON_NAME
      const value = attribute.next()
      if (isCommonName) values.push(value)
    }
  }
  const [value, another] = values
  return value === undefined || another !== undefined ? undefined : textOf(raw, value)
}

/** The alternative names of each kind, in their order. */
export function alternativeNamesOf(raw: Buffer): Readonly<Record<AlternativeName, string[]>> {
  const found: Record<AlternativeName, string[]> = { email: [], dns: [], uri: [] }
  const extension = alternativeNames(raw)
  if (extension === undefined) return found
  const names = new DerReader(raw, new DerReader(raw, extension).expect(Tag.SEQUENCE))
  while (names.more) {
    const name = names.next()
    for (const kind of Object.keys(ALTERNATIVE_NAMES) as AlternativeName[]) {
      if (name.tag !== ALTERNATIVE_NAMES[kind]) continue
      const text = soundText(ascii(raw.subarray(name.body, name.end)))
      if (text !== undefined) found[kind].push(text)
    }
  }
  return found
}

/** The octets of the extension; undefined without it, and where there are two, which must not be (section 4.2). */
function alternativeNames(raw: Buffer): DerValue | undefined {
  const { extensions } = partsOf(raw)
  if (extensions === undefined) return undefined
  const found: DerValue[] = []
  const list = new DerReader(raw, new DerReader(raw, extensions).expect(Tag.SEQUENCE))
  while (list.more) {
    const extension = new DerReader(raw, list.expect(Tag.SEQUENCE))
    const isWanted = readOid(raw, extension.expect(Tag.OID)) === SUBJECT_ALTERNATIVE_NAME
    extension.skip(Tag.BOOLEAN)
    const octets = extension.expect(Tag.OCTET_STRING)
    if (isWanted) found.push(octets)
  }
  return found.length === 1 ? found[0] : undefined
}

function textOf(raw: Buffer, { tag, body, end }: DerValue): string | undefined {
  return soundText(STRING_TYPES.get(tag)?.(raw.subarray(body, end)))
}

function soundText(text: string | undefined): string | undefined {
  return text === undefined || text === '' || text.includes('\0') ? undefined : text
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function ascii(bytes: Buffer): string | undefined {
  return bytes.every((byte) => byte < 0x80) ? bytes.toString('latin1') : undefined
}

/** Big-endian code points of so many bytes each: UniversalString and BMPString have no pairs for one. */
function codePoints(bytes: Buffer, width: 2 | 4): string | undefined {
  if (bytes.length % width !== 0) return undefined
  let text = ''
  for (let offset = 0; offset < bytes.length; offset += width) {
    const point = bytes.readUIntBE(offset, width)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    text += String.fromCodePoint(point)
  }
  return text
}
