/** What decides about a certificate, read from its DER: names as bytes, because text can be ambiguous. */
import type { X509Certificate } from 'node:crypto'
import { DerReader, readSerial, readTime, Tag, type DerValue } from './der.ts'

export interface CertificateFacts {
  readonly serial: string
  /** DER of the name, in hex. */
  readonly issuer: string
  readonly subject: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Where the parts of a certificate are in its DER (RFC 5280, section 4.1). */
interface CertificateParts {
  readonly serial: DerValue
  readonly issuer: DerValue
  readonly validity: DerValue
  readonly subject: DerValue
  readonly extensions: DerValue | undefined
}

/** @throws {RangeError} it is no X.509 certificate */
export function partsOf(raw: Buffer): CertificateParts {
  const certificate = new DerReader(raw).expect(Tag.SEQUENCE)
  const fields = new DerReader(raw, new DerReader(raw, certificate).expect(Tag.SEQUENCE))
  fields.skip(Tag.CONTEXT_0)
  const serial = fields.expect(Tag.INTEGER)
  fields.expect(Tag.SEQUENCE)
  const issuer = fields.expect(Tag.SEQUENCE)
  const validity = fields.expect(Tag.SEQUENCE)
  const subject = fields.expect(Tag.SEQUENCE)
  let extensions: DerValue | undefined
  while (fields.more) {
    const field = fields.next()
    if (field.tag === Tag.CONTEXT_3) extensions = field
  }
  return { serial, issuer, validity, subject, extensions }
}

/** @throws {RangeError} it is no X.509 certificate */
export function factsOf({ raw }: X509Certificate): CertificateFacts {
  const { serial, issuer, validity, subject } = partsOf(raw)
  const times = new DerReader(raw, validity)
  return {
    serial: readSerial(raw, serial),
    issuer: raw.toString('hex', issuer.start, issuer.end),
    subject: raw.toString('hex', subject.start, subject.end),
    notBeforeMs: readTime(raw, times.next()),
    notAfterMs: readTime(raw, times.next()),
  }
}
