/** What decides about a certificate, read from its DER: names as bytes, because text can be ambiguous. */
import type { X509Certificate } from 'node:crypto'
import { DerReader, readSerial, readTime, Tag } from './der.ts'

export interface CertificateFacts {
  readonly serial: string
  /** DER of the name, in hex. */
  readonly issuer: string
  readonly subject: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** @throws {RangeError} it is no X.509 certificate */
export function factsOf({ raw }: X509Certificate): CertificateFacts {
  const certificate = new DerReader(raw).expect(Tag.SEQUENCE)
  const fields = new DerReader(raw, new DerReader(raw, certificate).expect(Tag.SEQUENCE))
  fields.skip(Tag.CONTEXT_0)
  const serial = readSerial(raw, fields.expect(Tag.INTEGER))
  fields.expect(Tag.SEQUENCE)
  const issuer = fields.expect(Tag.SEQUENCE)
  const validity = new DerReader(raw, fields.expect(Tag.SEQUENCE))
  const notBeforeMs = readTime(raw, validity.next())
  const notAfterMs = readTime(raw, validity.next())
  const subject = fields.expect(Tag.SEQUENCE)
  return {
    serial,
    issuer: raw.toString('hex', issuer.start, issuer.end),
    subject: raw.toString('hex', subject.start, subject.end),
    notBeforeMs,
    notAfterMs,
  }
}
