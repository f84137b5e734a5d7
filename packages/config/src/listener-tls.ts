/** TLS of one listener: what its texts mean, and which of them need each other. */

/** By the names that they have in a listener's URL. */
export const TLS_PARAMETERS = [
  'cert',
  'key',
  'client-ca',
  'crl',
  'client-auth',
  'min-version',
  'ciphers',
  'identity',
  'ticket-key',
  'expired-clients',
] as const

export type TlsParameter = (typeof TLS_PARAMETERS)[number]
export type TlsTexts = Readonly<Partial<Record<TlsParameter, string>>>

export interface KeyPairFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface ListenerTls {
  /** The first is for clients that name no host or an unknown one. Empty: a development certificate. */
  readonly pairs: readonly KeyPairFiles[]
  readonly clientAuth: 'none' | 'optional' | 'required'
  /** Set where `clientAuth` is not `none`. */
  readonly clientCaFile: string | undefined
  readonly crlFile: string | undefined
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL names with colons between them. */
  readonly ciphers: string
  /** Unset: a certificate opens the door, and says nothing of who it is. */
  readonly identity: IdentityRule | undefined
  /** Unset: tickets are for this node only. */
  readonly ticketKeyFile: string | undefined
  /** What becomes of a connection when the certificate of its client ends. */
  readonly expiredClients: 'close' | 'keep'
}

/** Which part of a client certificate is the name of the client. */
export interface IdentityRule {
  readonly field: 'uri' | 'dns' | 'email' | 'cn'
  /** Fits the whole value; its first group, if it has one, is the name. */
  readonly pattern: RegExp | undefined
}

type Fail = (why: string) => Error

/**
 * Forward secrecy and authenticated encryption only. AES-128 first: it costs half of AES-256 where there is no
 * hardware for it, and nobody breaks either.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

export function decideTls(texts: TlsTexts, fail: Fail): ListenerTls {
  const clientAuth = oneOf(texts, 'client-auth', ['none', 'optional', 'required'], fail)
  const identity = texts.identity === undefined ? undefined : parseIdentity(texts.identity, fail)
  const clientCaFile = texts['client-ca']
  if (clientAuth !== 'none' && clientCaFile === undefined)
    throw fail(`client-auth=${clientAuth} needs client-ca: the authorities of the clients`)
  const verifies = clientAuth !== 'none'
  return {
    pairs: pairsOf(texts, fail),
    clientAuth,
    clientCaFile: verifies ? clientCaFile : undefined,
    crlFile: verifies ? texts.crl : undefined,
    minVersion: oneOf(texts, 'min-version', ['TLSv1.2', 'TLSv1.3'], fail),
    ciphers: texts.ciphers ?? CIPHERS,
    identity: verifies ? identity : undefined,
    ticketKeyFile: texts['ticket-key'],
    expiredClients: oneOf(texts, 'expired-clients', ['close', 'keep'], fail),
  }
}

function oneOf<const T extends string>(
  texts: TlsTexts,
  name: TlsParameter,
  values: readonly [T, ...T[]],
  fail: Fail,
): T {
  const text = texts[name] ?? values[0]
  const value = values.find((one) => one === text)
  if (value === undefined) throw fail(`${name} must be ${values.join(', ')}, not "${text}"`)
  return value
}

function pairsOf({ cert, key }: TlsTexts, fail: Fail): readonly KeyPairFiles[] {
  const certs = cert?.split(',') ?? []
  const keys = key?.split(',') ?? []
  if (certs.length !== keys.length)
    throw fail(
      `${certs.length} certificates and ${keys.length} keys are named; each certificate needs its key`,
    )
  return certs.map((certFile, index) => ({
    certFile: certFile.trim(),
    keyFile: (keys[index] as string).trim(),
  }))
}

/** `cn`, or a pattern behind the field: `uri:spiffe://fleet/device/([^/]+)`. */
function parseIdentity(text: string, fail: Fail): IdentityRule {
  const [, field, pattern] = /^(uri|dns|email|cn)(?::(.+))?$/s.exec(text) ?? []
  if (field === undefined)
    throw fail(`identity must be uri, dns, email or cn, with :PATTERN if any, not "${text}"`)
  try {
    return {
      field: field as IdentityRule['field'],
      pattern: pattern === undefined ? undefined : new RegExp(`^(?:${pattern})$`, 'u'),
    }
  } catch (cause) {
    throw Object.assign(fail(`identity: ${(cause as Error).message}`), { cause })
  }
}
