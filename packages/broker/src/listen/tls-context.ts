/**
 * What a TLS listener serves, made of its files and checked before anybody connects.
 *
 * In: the listener's TLS settings. Out: options for `tls.Server`, a context per host name, the trust in
 * clients. Every fault is one line that names the setting and its file; nothing half checked is ever returned.
 */
import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { ConfigError, unreadable, type KeyPairFiles, type ListenerTls } from '@breakwater/config'
import {
  bestChain,
  isSelfIssued,
  readCertificates,
  type Chain,
  type Known,
  ClientTrust,
  TrustFault,
} from '@breakwater/certificates'
import { FileFault, readFileSet, type FileSet } from '../files/file-set.ts'
import { hostContexts, type HostContexts } from './host-contexts.ts'

export interface TlsMaterial {
  /** Of the files: the same digest is the same material. */
  readonly digest: string
  readonly options: SecureContextOptions & { readonly ticketKeys?: Buffer }
  /** Undefined where there is one certificate for all. */
  readonly contexts: HostContexts | undefined
  /** Undefined where clients are not asked for certificates. */
  readonly trust: ClientTrust | undefined
  /** The first end of a chain: of the certificate, or of one that it depends on. */
  readonly notAfter: Date
  /** Serial numbers of the certificates, for the log. */
  readonly serials: readonly string[]
}

interface Pair {
  readonly certFile: string
  readonly cert: Buffer
  readonly key: Buffer
  readonly certificate: X509Certificate
  readonly chain: Chain
}

/**
 * Groups of the key exchange; over TLS 1.2 also the curves that a certificate may have (RFC 8422, section 5.1),
 * so every curve is here that OpenSSL has a signature for. Those before the slash come first, even where that
 * takes another round trip: what a client prefers costs up to 8 KiB a connection (X25519MLKEM768) or ten times
 * the time (P-521).
 */
const GROUPS = [
  'X25519:prime256v1',
  'secp384r1:secp521r1:secp256k1:brainpoolP256r1:brainpoolP384r1:brainpoolP512r1:X25519MLKEM768',
].join('/')
/** OpenSSL's longest. */
const SESSION_CONTEXT_CHARACTERS = 32
const LISTENER_PAIR = { cert: 'BREAKWATER_TLS_CERT', key: 'BREAKWATER_TLS_KEY' } as const
/** Name, HMAC key and AES key, 16 bytes each. */
const TICKET_KEY_BYTES = 48

/** All files of a listener. */
export function filesOf({ pairs, clientCaFile, crlFile, ticketKeyFile }: ListenerTls): string[] {
  const others = [clientCaFile, crlFile, ticketKeyFile].filter((path) => path !== undefined)
  return [...pairs.flatMap(({ certFile, keyFile }) => [certFile, keyFile]), ...others]
}

/** What holds for whatever certificate is shown. */
interface CommonTls {
  readonly options: TlsMaterial['options']
  readonly trust: ClientTrust | undefined
}

/** @throws {ConfigError} one line that names the variable and what is wrong with it or its file */
export function makeCommonTls(tls: ListenerTls, files: FileSet): CommonTls {
  const bytesOf = (path: string): Buffer => files.bytes.get(path) as Buffer
  const { clientCaFile, crlFile, ticketKeyFile } = tls
  const ca = clientCaFile === undefined ? undefined : bytesOf(clientCaFile)
  const trust = ca === undefined ? undefined : trustOf(tls, ca, crlFile && bytesOf(crlFile))
  checkCiphers(tls)
  const options = {
    ...(trust === undefined ? {} : { ca: trust.usable(Date.now()) }),
    ...(ticketKeyFile === undefined
      ? {}
      : { ticketKeys: ticketKeyOf(ticketKeyFile, bytesOf(ticketKeyFile)) }),
    minVersion: tls.minVersion,
    ciphers: tls.ciphers,
    ecdhCurve: GROUPS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: sessionContextOf(tls, ca),
  }
  parse(
    'BREAKWATER_TLS_CLIENT_CA',
    `OpenSSL refuses ${clientCaFile}; give a file with -----BEGIN CERTIFICATE----- alone`,
    () => createSecureContext(options),
  )
  return { options, trust }
}

/** @throws {ConfigError} one line that names the variable and what is wrong with its file */
export function makeTlsMaterial(tls: ListenerTls, files: FileSet): TlsMaterial {
  const pairs = tls.pairs.map((pair) =>
    checkPair(pair, (path) => files.bytes.get(path) as Buffer, LISTENER_PAIR),
  )
  const [first] = pairs as [Pair, ...Pair[]]
  const { options: common, trust } = makeCommonTls(tls, files)
  const contextOf = ({ cert, key, certFile }: Pair): SecureContext =>
    parse(
      'BREAKWATER_TLS_CERT',
      `OpenSSL refuses ${certFile} with ciphers "${tls.ciphers}"; give a certificate that one of them can use`,
      () => createSecureContext({ ...common, cert, key }),
    )
  const contexts = pairs.map((pair) => [pair.certificate, contextOf(pair)] as const)
  return {
    digest: files.digest,
    options: { ...common, cert: first.cert, key: first.key },
    contexts: pairs.length === 1 ? undefined : hostContexts(contexts),
    trust,
    notAfter: new Date(Math.min(...pairs.map(({ chain }) => chain.endsMs))),
    serials: pairs.map(({ certificate }) => certificate.serialNumber),
  }
}

/** @throws {ConfigError} one line that names the variable and the file that cannot be read */
export function readTlsFiles(tls: ListenerTls): FileSet {
  try {
    return readFileSet(filesOf(tls))
  } catch (error) {
    if (!(error instanceof FileFault)) throw error
    throw unreadable(settingOf(tls, error.path), error.path, error)
  }
}

function settingOf(tls: ListenerTls, path: string): string {
  if (tls.pairs.some(({ certFile }) => certFile === path)) return 'BREAKWATER_TLS_CERT'
  if (tls.pairs.some(({ keyFile }) => keyFile === path)) return 'BREAKWATER_TLS_KEY'
  if (tls.clientCaFile === path) return 'BREAKWATER_TLS_CLIENT_CA'
  return tls.crlFile === path ? 'BREAKWATER_TLS_CRL' : 'BREAKWATER_TLS_TICKET_KEY'
}

/** Which settings name the files of a pair. */
interface PairSettings {
  readonly cert: string
  readonly key: string
}

/** @throws {ConfigError} one line that names the setting, the file and what is wrong with it */
export function checkPair(
  { certFile, keyFile }: KeyPairFiles,
  bytesOf: (path: string) => Buffer,
  settings: PairSettings,
): Pair {
  const cert = bytesOf(certFile)
  const key = bytesOf(keyFile)
  const certificate = parse(
    settings.cert,
    `${certFile} is not a PEM certificate; give a file with -----BEGIN CERTIFICATE-----`,
    () => new X509Certificate(cert),
  )
  const privateKey = parse(
    settings.key,
    key.includes('ENCRYPTED')
      ? `${keyFile} is encrypted; decrypt it with openssl pkey -in ${keyFile} -out FILE`
      : `${keyFile} is not a PEM private key; give a file with -----BEGIN PRIVATE KEY-----`,
    () => createPrivateKey(key),
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(
      `${settings.key}: ${keyFile} is not the key of the certificate in ${certFile}; give two files that belong together`,
    )
  }
  if (new Date(certificate.validTo).getTime() < Date.now()) {
    throw new ConfigError(
      `${settings.cert}: ${certFile} expired on ${certificate.validTo}; renew it`,
    )
  }
  if (new Date(certificate.validFrom).getTime() > Date.now()) {
    throw new ConfigError(
      `${settings.cert}: ${certFile} is not valid before ${certificate.validFrom}; look at the clock or wait`,
    )
  }
  parse(
    settings.cert,
    `${certFile} holds a chain that OpenSSL refuses; give the server's certificate first, then its issuers`,
    () => createSecureContext({ cert, key }),
  )
  const chain = parse(
    settings.cert,
    `${certFile} holds something that is not an X.509 certificate; give the server's certificate first, then its issuers`,
    () => chainOf(cert),
  )
  checkChain(chain, certFile, settings.cert)
  return { certFile, cert, key, certificate, chain }
}

/** Clients have the root from elsewhere: what the file says of it is nothing to them. */
function chainOf(cert: Buffer): Chain {
  const [leaf, ...others] = readCertificates(cert.toString('latin1')) as [Known, ...Known[]]
  return bestChain(
    leaf,
    others.filter((known) => !isSelfIssued(known)),
    Date.now(),
  )
}

function checkChain(
  { beginsMs, beginsLast, endsMs, endsFirst }: Chain,
  certFile: string,
  setting: string,
): void {
  const nameOf = ({ certificate }: Known): string => certificate.subject.replaceAll('\n', ', ')
  if (endsMs < Date.now())
    throw new ConfigError(
      `${setting}: in ${certFile} the certificate of the issuer ${nameOf(endsFirst)} expired on ${endsFirst.certificate.validTo}; replace it by the one that its authority gives today`,
    )
  if (beginsMs > Date.now())
    throw new ConfigError(
      `${setting}: in ${certFile} the certificate of the issuer ${nameOf(beginsLast)} is not valid before ${beginsLast.certificate.validFrom}; look at the clock or wait`,
    )
}

function checkCiphers({ ciphers, minVersion }: ListenerTls): void {
  parse(
    'BREAKWATER_TLS_CIPHERS',
    `OpenSSL refuses "${ciphers}"; give names that openssl ciphers prints, with colons between them`,
    () => createSecureContext({ ciphers }),
  )
  // OpenSSL takes such a list, and then refuses every handshake.
  if (minVersion === 'TLSv1.3' && !/(^|:)TLS_/.test(ciphers))
    throw new ConfigError(
      `BREAKWATER_TLS_CIPHERS: "${ciphers}" holds no cipher suite of TLS 1.3, which BREAKWATER_TLS_MIN_VERSION asks for; add one, such as TLS_AES_128_GCM_SHA256`,
    )
}

function trustOf(tls: ListenerTls, ca: Buffer, crl: Buffer | '' | undefined): ClientTrust {
  const trust = readTrust(tls, ca, crl)
  const last = trust.ends(Date.now()).at(-1)
  if (last !== undefined && last.endsMs < Date.now())
    throw new ConfigError(
      `BREAKWATER_TLS_CLIENT_CA: every authority in ${tls.clientCaFile} has ended, ${last.name} as the last one, on ${new Date(last.endsMs).toUTCString()}; add the one that issues today`,
    )
  return trust
}

function readTrust(tls: ListenerTls, ca: Buffer, crl: Buffer | '' | undefined): ClientTrust {
  try {
    return new ClientTrust(ca.toString('latin1'), crl ? crl.toString('latin1') : undefined)
  } catch (error) {
    if (!(error instanceof TrustFault)) throw error
    const where =
      error.what === 'authorities'
        ? `BREAKWATER_TLS_CLIENT_CA: ${tls.clientCaFile}`
        : `BREAKWATER_TLS_CRL: ${tls.crlFile}`
    throw new ConfigError(`${where} ${error.message}`, { cause: error })
  }
}

/**
 * A ticket is good only where it was made under the same authorities and the same demand for a certificate.
 * Any other falls back to a full handshake, at which OpenSSL looks at everything again.
 */
function sessionContextOf({ clientAuth }: ListenerTls, ca: Buffer | undefined): string {
  const hash = createHash('sha256').update(`breakwater ${clientAuth} `)
  if (ca !== undefined) hash.update(ca)
  return hash.digest('hex').slice(0, SESSION_CONTEXT_CHARACTERS)
}

/** As bytes, or as one line of base64. */
function ticketKeyOf(path: string, bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').trim()
  const key =
    bytes.length !== TICKET_KEY_BYTES && /^[A-Za-z0-9+/]{64}$/.test(text)
      ? Buffer.from(text, 'base64')
      : bytes
  if (key.length !== TICKET_KEY_BYTES || new Set(key).size < TICKET_KEY_BYTES / 4)
    throw new ConfigError(
      `BREAKWATER_TLS_TICKET_KEY: ${path} is not ${TICKET_KEY_BYTES} random bytes; make it with openssl rand -out FILE ${TICKET_KEY_BYTES}`,
    )
  return key
}

function parse<T>(variable: string, fault: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ConfigError(`${variable}: ${fault}`, { cause })
  }
}
