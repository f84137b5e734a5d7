/**
 * What a TLS listener serves, made of its files and checked before anybody connects.
 *
 * In: the listener's TLS settings. Out: options for `tls.Server`, a context per host name, the trust in
 * clients. Every fault is one line that names the setting and its file; nothing half checked is ever returned.
 */
import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { ConfigError, unreadable, type KeyPairFiles, type ListenerTls } from '@breakwater/config'
import { ClientTrust, TrustFault } from '../certificates/client-trust.ts'
import { FileFault, readFileSet, type FileSet } from '../certificates/file-set.ts'
import { hostContexts, type HostContexts } from './host-contexts.ts'

export interface TlsMaterial {
  /** Of the files: the same digest is the same material. */
  readonly digest: string
  readonly options: SecureContextOptions & { readonly ticketKeys?: Buffer }
  /** Undefined where there is one certificate for all. */
  readonly contexts: HostContexts | undefined
  /** Undefined where clients are not asked for certificates. */
  readonly trust: ClientTrust | undefined
  /** Of the certificate that expires first. */
  readonly notAfter: Date
  /** Serial numbers of the certificates, for the log. */
  readonly serials: readonly string[]
}

interface Pair {
  readonly cert: Buffer
  readonly key: Buffer
  readonly certificate: X509Certificate
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
/** Name, HMAC key and AES key, 16 bytes each. */
const TICKET_KEY_BYTES = 48

/** All files of a listener. */
export function filesOf({ pairs, clientCaFile, crlFile, ticketKeyFile }: ListenerTls): string[] {
  const others = [clientCaFile, crlFile, ticketKeyFile].filter((path) => path !== undefined)
  return [...pairs.flatMap(({ certFile, keyFile }) => [certFile, keyFile]), ...others]
}

/** @throws {ConfigError} one line that names the variable and what is wrong with its file */
export function makeTlsMaterial(tls: ListenerTls, files: FileSet): TlsMaterial {
  const bytesOf = (path: string): Buffer => files.bytes.get(path) as Buffer
  const pairs = tls.pairs.map((pair) => checkPair(pair, bytesOf))
  const [first] = pairs as [Pair, ...Pair[]]
  const { clientCaFile, crlFile, ticketKeyFile } = tls
  const ca = clientCaFile === undefined ? undefined : bytesOf(clientCaFile)
  const trust = ca === undefined ? undefined : trustOf(tls, ca, crlFile && bytesOf(crlFile))
  const common = {
    ...(ca === undefined ? {} : { ca }),
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
    clientCaFile === undefined ? 'BREAKWATER_TLS_CIPHERS' : 'BREAKWATER_TLS_CLIENT_CA',
    `OpenSSL refuses ${clientCaFile ?? tls.ciphers}`,
    () => createSecureContext(common),
  )
  const contextOf = ({ cert, key }: Pair): SecureContext =>
    createSecureContext({ ...common, cert, key })
  const expiries = pairs.map(({ certificate }) => new Date(certificate.validTo))
  return {
    digest: files.digest,
    options: { ...common, cert: first.cert, key: first.key },
    contexts:
      pairs.length === 1
        ? undefined
        : hostContexts(pairs.map((pair) => [pair.certificate, contextOf(pair)])),
    trust,
    notAfter: expiries.reduce((one, other) => (one < other ? one : other)),
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

function checkPair({ certFile, keyFile }: KeyPairFiles, bytesOf: (path: string) => Buffer): Pair {
  const cert = bytesOf(certFile)
  const key = bytesOf(keyFile)
  const certificate = parse(
    'BREAKWATER_TLS_CERT',
    `${certFile} is not a PEM certificate; give a file with -----BEGIN CERTIFICATE-----`,
    () => new X509Certificate(cert),
  )
  const privateKey = parse(
    'BREAKWATER_TLS_KEY',
    key.includes('ENCRYPTED')
      ? `${keyFile} is encrypted; decrypt it with openssl pkey -in ${keyFile} -out FILE`
      : `${keyFile} is not a PEM private key; give a file with -----BEGIN PRIVATE KEY-----`,
    () => createPrivateKey(key),
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(
      `BREAKWATER_TLS_KEY: ${keyFile} is not the key of the certificate in ${certFile}; give two files that belong together`,
    )
  }
  if (new Date(certificate.validTo).getTime() < Date.now()) {
    throw new ConfigError(
      `BREAKWATER_TLS_CERT: ${certFile} expired on ${certificate.validTo}; renew it`,
    )
  }
  if (new Date(certificate.validFrom).getTime() > Date.now()) {
    throw new ConfigError(
      `BREAKWATER_TLS_CERT: ${certFile} is not valid before ${certificate.validFrom}; look at the clock or wait`,
    )
  }
  parse(
    'BREAKWATER_TLS_CERT',
    `${certFile} holds a chain that OpenSSL refuses; give the server's certificate first, then its issuers`,
    () => createSecureContext({ cert, key }),
  )
  return { cert, key, certificate }
}

function trustOf(tls: ListenerTls, ca: Buffer, crl: Buffer | '' | undefined): ClientTrust {
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
