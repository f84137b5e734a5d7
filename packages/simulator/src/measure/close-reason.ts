/** Why a connection ended, in words that name the cause and, where there is one, the remedy. */

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'unknown host name',
  EAI_AGAIN: 'host name cannot be looked up',
  EMFILE: 'too many open files (raise ulimit -n)',
  EADDRNOTAVAIL: 'no local port left',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate not trusted (name its CA with --ca)',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate not trusted (name its CA with --ca)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate not trusted (name its CA with --ca)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate not trusted (name its CA with --ca)',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS on this port',
}

/** Where in the life of a connection it happened, by the state of the device. */
const DURING: Readonly<Record<string, string>> = {
  dialing: 'while dialing',
  securing: 'in the TLS handshake',
  connecting: 'before CONNACK',
  subscribing: 'before SUBACK',
  ready: 'while connected',
}

/** One phrase for a socket error; the number of different ones is bounded by the system's codes. */
export const describeSocketError = (error: Error, state: string): string => {
  // Both address families failed: the first is as good as the second.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  const text = EXPLANATIONS[code]
  return `${text === undefined ? '' : `${text}, `}${code} ${DURING[state] ?? ''}`
}

/** The broker closed without an error. */
export const describeEnd = (state: string): string => `closed by the broker ${DURING[state] ?? ''}`

/** The broker did not go on. */
export const describeTimeout = (state: string, timeoutMs: number): string =>
  `no answer in ${timeoutMs} ms ${DURING[state] ?? ''}`
