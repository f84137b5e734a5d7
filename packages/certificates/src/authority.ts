/**
 * Certificates for development and tests. ECDSA P-256 throughout: half of RSA's handshake cost, and what
 * devices have hardware for. Production certificates come from cert-manager, never from here.
 */
// The certificate library's dependency injection wants this loaded before itself.
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const BACKDATE_MS = 60_000

export interface CertificatePair {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface LeafOptions {
  readonly commonName: string
  readonly usage: 'server' | 'client'
  /** DNS names, IP addresses, e-mail addresses and URIs (SPIFFE), told apart by their form. */
  readonly alternativeNames?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** DER of a whole subject, in the place of one with nothing but the common name. */
  readonly subject?: Uint8Array<ArrayBuffer>
}

interface SubordinateOptions {
  /** The authority whose key it has. */
  readonly of?: Authority
  readonly notBefore?: Date
  readonly notAfter?: Date
}

export interface RevocationOptions {
  /** PEM. */
  readonly certificates: readonly string[]
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date
}

/** A certificate authority that can issue and revoke. */
export class Authority {
  readonly pair: CertificatePair
  readonly #certificate: x509.X509Certificate
  readonly #keys: webcrypto.CryptoKeyPair

  private constructor(
    pair: CertificatePair,
    certificate: x509.X509Certificate,
    keys: webcrypto.CryptoKeyPair,
  ) {
    this.pair = pair
    this.#certificate = certificate
    this.#keys = keys
  }

  /** @param pathLength how many authorities may stand between this one and a certificate */
  static async create(
    commonName: string,
    days = 3_650,
    pathLength = 0,
    notBefore: Date = new Date(Date.now() - BACKDATE_MS),
  ): Promise<Authority> {
    const keys = await generateKeys()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: nameOf(commonName),
      notBefore,
      notAfter: new Date(Date.now() + days * DAY_MS),
      signingAlgorithm: KEY,
      keys,
      extensions: [
        ...authorityExtensions(pathLength),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return new Authority(await pairOf(certificate, keys.privateKey), certificate, keys)
  }

  /** @throws when the PEM texts are not a certificate and its ECDSA P-256 key */
  static async from(pair: CertificatePair): Promise<Authority> {
    const certificate = new x509.X509Certificate(pair.cert)
    const der = x509.PemConverter.decodeFirst(pair.key)
    const privateKey = await webcrypto.subtle.importKey('pkcs8', der, KEY, true, ['sign'])
    const publicKey = await certificate.publicKey.export(KEY, ['verify'])
    return new Authority(pair, certificate, { privateKey, publicKey })
  }

  /** An authority that this one has signed: a new one, or one that has its own key already (a cross-signature). */
  async subordinate(commonName: string, options: SubordinateOptions = {}): Promise<Authority> {
    const keys = options.of === undefined ? await generateKeys() : options.of.#keys
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: nameOf(commonName),
      issuer: this.#certificate.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - BACKDATE_MS),
      notAfter: options.notAfter ?? this.#certificate.notAfter,
      signingAlgorithm: KEY,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        ...authorityExtensions(0),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    })
    return new Authority(await pairOf(certificate, keys.privateKey), certificate, keys)
  }

  /** A revocation list of this authority, PEM. */
  async revoke(options: RevocationOptions): Promise<string> {
    const { certificates, thisUpdate = new Date(Date.now() - BACKDATE_MS), nextUpdate } = options
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate,
      nextUpdate: nextUpdate ?? new Date(Date.now() + DAY_MS),
      entries: certificates.map((pem) => ({
        serialNumber: new x509.X509Certificate(pem).serialNumber,
        revocationDate: thisUpdate,
      })),
      signingAlgorithm: KEY,
      signingKey: this.#keys.privateKey,
    })
    // RFC 7468, section 6.
    return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`
  }

  async issue(options: LeafOptions): Promise<CertificatePair> {
    const keys = await generateKeys()
    const usage = options.usage === 'server' ? 'serverAuth' : 'clientAuth'
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject:
        options.subject === undefined ? nameOf(options.commonName) : new x509.Name(options.subject),
      issuer: this.#certificate.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - BACKDATE_MS),
      notAfter: options.notAfter ?? new Date(Date.now() + 90 * DAY_MS),
      signingAlgorithm: KEY,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
        new x509.SubjectAlternativeNameExtension(
          (options.alternativeNames ?? []).map((value) => ({ type: nameType(value), value })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    })
    return pairOf(certificate, keys.privateKey)
  }
}

function authorityExtensions(pathLength: number): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ]
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify'])
}

async function pairOf(
  certificate: x509.X509Certificate,
  privateKey: webcrypto.CryptoKey,
): Promise<CertificatePair> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey)
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`,
  }
}

function nameOf(commonName: string): string {
  return `CN=${commonName.replace(/[,+"\\<>;=]/g, '\\$&')}`
}

/** 16 bytes, positive (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

function nameType(value: string): 'dns' | 'ip' | 'url' | 'email' {
  if (value.includes('://')) return 'url'
  if (value.includes('@')) return 'email'
  return /^[\d.]+$|:/.test(value) ? 'ip' : 'dns'
}
