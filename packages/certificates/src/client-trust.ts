/**
 * Whether a client certificate is good now. Asked on every connection: a resumed one is what the ticket says,
 * and Node takes it as authorised without looking at dates, revocation or authorities again.
 *
 * In: the authorities (PEM bundle), their revocation lists, a certificate. Out: why it is refused, or nothing.
 * The bundle must hold every authority on the way from a certificate to its root: a ticket has no room for
 * them, and what a client sends along is not to decide whether a revocation is seen. Bound: `CHAIN_MAX` steps.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { factsOf, type CertificateFacts } from './certificate-facts.ts'
import { bestChain, CHAIN_MAX, isGood, readCertificates, type Chain, type Known } from './chain.ts'
import { parseRevocationLists, type RevocationList } from './revocation-list.ts'

/** An authority of the bundle, under however many certificates. */
export interface AuthorityEnd {
  readonly name: string
  /** Of the best way up from it. */
  readonly endsMs: number
}

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
    const certificates = read(bundlePem)
    if (certificates.length === 0)
      throw new TrustFault('authorities', 'holds no -----BEGIN CERTIFICATE-----')
    for (const known of certificates) {
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

  /** When each authority ends, the first one first. */
  ends(nowMs: number): readonly AuthorityEnd[] {
    return [...this.#authorities.values()]
      .map((same) => {
        const chains = same.map((known) => this.#chainOf(known, nowMs))
        const name = same[0]?.certificate.subject.replaceAll('\n', ', ') ?? ''
        return { name, endsMs: Math.max(...chains.map(({ endsMs }) => endsMs)) }
      })
      .toSorted((one, other) => one.endsMs - other.endsMs)
  }

  /**
   * The bundle for OpenSSL, which follows the first certificate of an issuer that is valid itself and does not come
   * back to another one: those with the best way up come first, and beside one that is good none is left that
   * leads to an end.
   */
  usable(nowMs: number): string {
    const pems: string[] = []
    for (const same of this.#authorities.values()) {
      const ways = same
        .map((known) => ({ known, chain: this.#chainOf(known, nowMs) }))
        .toSorted((one, other) => other.chain.endsMs - one.chain.endsMs)
      const good = ways.filter(({ chain }) => isGood(chain, nowMs))
      for (const { known } of good.length === 0 ? ways : good)
        pems.push(known.certificate.toString())
    }
    return pems.join('')
  }

  #chainOf(known: Known, nowMs: number): Chain {
    return bestChain(known, [...this.#authorities.values()].flat(), nowMs)
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

function read(pem: string): Known[] {
  try {
    return readCertificates(pem)
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
