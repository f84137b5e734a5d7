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
  /** DNS names, IP addresses and URIs (SPIFFE), told apart by their form. */
  readonly alternativeNames?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** A certificate authority that can issue. */
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

  static async create(commonName: string, days = 3_650): Promise<Authority> {
    const keys = await generateKeys()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: nameOf(commonName),
      notBefore: new Date(Date.now() - BACKDATE_MS),
      notAfter: new Date(Date.now() + days * DAY_MS),
      signingAlgorithm: KEY,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
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

  async issue(options: LeafOptions): Promise<CertificatePair> {
    const keys = await generateKeys()
    const usage = options.usage === 'server' ? 'serverAuth' : 'clientAuth'
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: nameOf(options.commonName),
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

function nameType(value: string): 'dns' | 'ip' | 'url' {
  if (value.includes('://')) return 'url'
  return /^[\d.]+$|:/.test(value) ? 'ip' : 'dns'
}
