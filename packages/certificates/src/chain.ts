/**
 * From a certificate up: which certificates of a bundle have issued it, and until when the best way up is good.
 *
 * In: certificates in any order. Out: of the ways up the one that is good now for longest, with the certificate
 * that ends first on it. Of an authority that was renewed, or that two others have signed, a bundle holds several
 * certificates. Bound: `CHAIN_MAX` steps.
 */
import { X509Certificate } from 'node:crypto'
import { factsOf, type CertificateFacts } from './certificate-facts.ts'

export const CHAIN_MAX = 8

export interface Known extends CertificateFacts {
  readonly certificate: X509Certificate
}

export interface Chain {
  /** The latest of its beginnings and the first of its ends. */
  readonly beginsMs: number
  readonly endsMs: number
  readonly beginsLast: Known
  readonly endsFirst: Known
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws {Error} one of them is no certificate */
export function readCertificates(pem: string): Known[] {
  return (pem.match(CERTIFICATE) ?? []).map((text) => {
    const certificate = new X509Certificate(text)
    return { certificate, ...factsOf(certificate) }
  })
}

export function isSelfIssued({ issuer, subject }: Known): boolean {
  return issuer === subject
}

/** The best way up from a certificate; alone, if none of the others has issued it. */
export function bestChain(known: Known, others: readonly Known[], nowMs: number): Chain {
  return climb(known, others, nowMs, 0)
}

function climb(known: Known, others: readonly Known[], nowMs: number, step: number): Chain {
  const own: Chain = {
    beginsMs: known.notBeforeMs,
    endsMs: known.notAfterMs,
    beginsLast: known,
    endsFirst: known,
  }
  const issuers = isSelfIssued(known) || step === CHAIN_MAX ? [] : others.filter(hasIssued(known))
  const above = issuers
    .map((issuer) => climb(issuer, others, nowMs, step + 1))
    .toSorted((one, other) => betterFirst(one, other, nowMs))[0]
  if (above === undefined) return own
  const begins = above.beginsMs > own.beginsMs ? above : own
  const ends = above.endsMs < own.endsMs ? above : own
  return {
    beginsMs: begins.beginsMs,
    beginsLast: begins.beginsLast,
    endsMs: ends.endsMs,
    endsFirst: ends.endsFirst,
  }
}

export function isGood({ beginsMs, endsMs }: Chain, nowMs: number): boolean {
  return beginsMs <= nowMs && nowMs <= endsMs
}

function betterFirst(one: Chain, other: Chain, nowMs: number): number {
  const goodFirst = Number(isGood(other, nowMs)) - Number(isGood(one, nowMs))
  return goodFirst === 0 ? other.endsMs - one.endsMs : goodFirst
}

function hasIssued({ issuer, certificate }: Known): (other: Known) => boolean {
  return (other) =>
    other.subject === issuer &&
    certificate.checkIssued(other.certificate) &&
    certificate.verify(other.certificate.publicKey)
}
