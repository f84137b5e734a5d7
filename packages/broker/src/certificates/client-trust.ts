/**
 * Whether a client certificate is good now. Asked on every connection: a resumed one is what the ticket says,
 * and Node takes it as authorised without looking at dates, revocation or authorities again.
 *
 * In: the authorities (PEM bundle), their revocation lists, a certificate. Out: why it is refused, or nothing.
 * The bundle must hold every authority on the way from a certificate to its root: a ticket has no room for
 * them, and what a client sends along is not to decide whether a revocation is seen. Bound: `CHAIN_MAX` steps.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { factsOf, type CertificateFacts } from './certificate-facts.ts'
import { parseRevocationLists, type RevocationList } from './revocation-list.ts'

const CHAIN_MAX = 8

interface Known extends CertificateFacts {
  readonly certificate: X509Certificate
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export class ClientTrust {
  readonly #authorities = new Map<string, Known[]>()
  readonly #lists: readonly RevocationList[]
  readonly #revoked = new Map<string, ReadonlySet<string>[]>()
  /** Of both files: the same digest is the same trust. */
  readonly digest: string

  /** @throws {TrustFault} which of the two is wrong, and why */
  constructor(bundlePem: string, listsPem: string | undefined) {
    this.digest = createHash('sha256')
      .update(JSON.stringify([bundlePem, listsPem]))
      .digest('hex')
    const certificates = bundlePem.match(CERTIFICATE) ?? []
    if (certificates.length === 0)
      throw new TrustFault('authorities', 'holds no -----BEGIN CERTIFICATE-----')
    for (const pem of certificates) {
      const known = read(pem)
      if (!known.certificate.ca)
        throw new TrustFault('authorities', `${known.certificate.subject} is no authority`)
      const same = this.#authorities.get(known.subject)
      if (same === undefined) this.#authorities.set(known.subject, [known])
      else same.push(known)
    }
    this.#lists = listsPem === undefined ? [] : this.#provedLists(listsPem)
    for (const { issuer, serials } of this.#lists)
      this.#revoked.set(issuer, [...(this.#revoked.get(issuer) ?? []), serials])
  }

  /** When the first of the lists should have been replaced; undefined without lists that say so. */
  get nextUpdateMs(): number | undefined {
    const all = this.#lists.flatMap(({ nextUpdateMs }) => nextUpdateMs ?? [])
    return all.length === 0 ? undefined : Math.min(...all)
  }

  /** Whether it knows less than the other: of an authority that both trust, an older list or none. */
  isOlderThan(other: ClientTrust): boolean {
    const newest = (lists: readonly RevocationList[], issuer: string): number =>
      Math.max(...lists.filter((one) => one.issuer === issuer).map((one) => one.thisUpdateMs))
    return other.#lists.some(
      ({ issuer }) =>
        this.#authorities.has(issuer) && newest(this.#lists, issuer) < newest(other.#lists, issuer),
    )
  }

  /** Undefined: good. Otherwise the word that OpenSSL has for it, so that one search finds both. */
  refusal(leaf: X509Certificate, nowMs: number): string | undefined {
    return this.#refusal({ certificate: leaf, ...factsOf(leaf) }, nowMs, 0)
  }

  /** Every way up is tried: of an authority that was renewed the bundle holds the old and the new one. */
  #refusal(known: Known, nowMs: number, step: number): string | undefined {
    if (nowMs < known.notBeforeMs) return 'CERT_NOT_YET_VALID'
    if (nowMs > known.notAfterMs) return 'CERT_HAS_EXPIRED'
    if (this.#isRevoked(known)) return 'CERT_REVOKED'
    if (this.#isRoot(known)) return undefined
    if (step === CHAIN_MAX) return 'CERT_CHAIN_TOO_LONG'
    let refusal: string | undefined = 'UNABLE_TO_GET_ISSUER_CERT'
    for (const issuer of this.#issuersOf(known)) {
      refusal = this.#refusal(issuer, nowMs, step + 1)
      if (refusal === undefined) return undefined
    }
    return refusal
  }

  #isRoot({ issuer, subject, certificate }: Known): boolean {
    if (issuer !== subject) return false
    const same = this.#authorities.get(subject)
    return same?.some((known) => known.certificate.raw.equals(certificate.raw)) === true
  }

  /**
   * By names and key identifiers. The signature was verified by OpenSSL, in this handshake or in the one that
   * the ticket comes from; the ticket is under our own key, and good only for the same bundle.
   */
  *#issuersOf({ issuer, subject, certificate }: Known): Generator<Known> {
    if (issuer === subject) return
    for (const known of this.#authorities.get(issuer) ?? [])
      if (certificate.checkIssued(known.certificate)) yield known
  }

  #isRevoked({ issuer, serial }: CertificateFacts): boolean {
    return this.#revoked.get(issuer)?.some((serials) => serials.has(serial)) === true
  }

  #provedLists(pem: string): readonly RevocationList[] {
    let lists
    try {
      lists = parseRevocationLists(pem)
    } catch (cause) {
      throw new TrustFault('revocations', (cause as Error).message, { cause })
    }
    for (const list of lists) {
      const issuers = this.#authorities.get(list.issuer) ?? []
      if (!issuers.some(({ certificate }) => list.signedBy(certificate)))
        throw new TrustFault('revocations', 'is not signed by an authority of the clients')
    }
    return lists
  }
}

function read(pem: string): Known {
  try {
    const certificate = new X509Certificate(pem)
    return { certificate, ...factsOf(certificate) }
  } catch (cause) {
    throw new TrustFault('authorities', 'holds something that is no certificate', { cause })
  }
}

/** Which file is wrong, for somebody who knows its name. */
export class TrustFault extends Error {
  readonly what: 'authorities' | 'revocations'

  constructor(what: 'authorities' | 'revocations', why: string, options?: ErrorOptions) {
    super(why, options)
    this.what = what
  }
}
