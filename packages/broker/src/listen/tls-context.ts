import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type TlsOptions } from 'node:tls'
import { ConfigError, readNamedFile } from '@breakwater/config'

/** Application protocol that clients may name in their ClientHello (IANA: `mqtt`). */
const ALPN_PROTOCOL = 'mqtt'

export interface TlsIdentity {
  readonly options: TlsOptions
  readonly notAfter: Date
}

/**
 * The server's certificate and key, checked before anybody connects.
 *
 * @throws {ConfigError} one line that names the variable and what is wrong with its file
 */
export function loadTlsIdentity(certFile: string, keyFile: string): TlsIdentity {
  const cert = readNamedFile('BREAKWATER_TLS_CERT', certFile)
  const key = readNamedFile('BREAKWATER_TLS_KEY', keyFile)
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
  const notAfter = new Date(certificate.validTo)
  if (notAfter.getTime() < Date.now()) {
    throw new ConfigError(
      `BREAKWATER_TLS_CERT: ${certFile} expired on ${certificate.validTo}; renew it`,
    )
  }
  parse(
    'BREAKWATER_TLS_CERT',
    `${certFile} holds a chain that OpenSSL refuses; give the server's certificate first, then its issuers`,
    () => createSecureContext({ cert, key }),
  )
  return {
    notAfter,
    options: {
      cert,
      key,
      minVersion: 'TLSv1.2',
      ALPNProtocols: [ALPN_PROTOCOL],
      // The default group is post-quantum and costs each connection 8 KiB; devices offer X25519 or P-256.
      ecdhCurve: 'X25519:prime256v1:X25519MLKEM768',
    },
  }
}

function parse<T>(variable: string, fault: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ConfigError(`${variable}: ${fault}`, { cause })
  }
}
