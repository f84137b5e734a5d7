/** What a connection's certificate says of its client, and whether the connection may go on. */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { ListenerTls } from '@breakwater/config'
import { factsOf } from './certificate-facts.ts'
import { identityOf, namesOf, type CertificateNames } from './certificate-name.ts'
import type { ClientTrust } from './client-trust.ts'

export interface ClientCertificate {
  /** Without leading zeros, upper case. */
  readonly serial: string
  /** SHA-256, upper case, without colons. */
  readonly fingerprint: string
  /** Ms since the epoch. */
  readonly notAfterMs: number
  /** Whether the connection ends with the certificate. */
  readonly expires: boolean
  /** By which it was found good. */
  readonly trust: ClientTrust
  /** While the connection is open. Read again when it is asked for: most never are, and it is large. */
  readonly leaf: () => X509Certificate | undefined
  /** Who it is; undefined where the listener's rule finds no name in it, or has none. */
  readonly name: string | undefined
  /** All names, for access rules. */
  readonly names: CertificateNames
  /** Whether the name, and not CONNECT, says who the client is. */
  readonly identifies: boolean
}

/**
 * The certificate of a connection, full handshake or resumed; undefined without one. A string: refused, and
 * why. Node's own answer is not enough: it takes what comes out of a ticket as it is.
 */
export function clientCertificateOf(
  socket: TLSSocket,
  tls: ListenerTls,
  trust: ClientTrust,
  nowMs: number,
): ClientCertificate | string | undefined {
  try {
    return readCertificate(socket, tls, trust, nowMs)
  } catch (error) {
    // OpenSSL takes encodings that nobody should use.
    if (error instanceof RangeError) return 'CERT_REJECTED'
    throw error
  }
}

function readCertificate(
  socket: TLSSocket,
  { clientAuth, identity, expiredClients }: ListenerTls,
  trust: ClientTrust,
  nowMs: number,
): ClientCertificate | string | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined)
    return clientAuth === 'required' ? 'PEER_DID_NOT_RETURN_A_CERTIFICATE' : undefined
  const error = authorizationErrorOf(socket)
  if (error !== undefined) return error
  const refusal = trust.refusal(leaf, nowMs)
  if (refusal !== undefined) return refusal
  const found = identity === undefined ? undefined : identityOf(leaf, identity)
  return {
    serial: leaf.serialNumber.replace(/^0+(?=.)/, ''),
    fingerprint: leaf.fingerprint256.replaceAll(':', ''),
    notAfterMs: factsOf(leaf).notAfterMs,
    expires: expiredClients === 'close',
    trust,
    leaf: () => socket.getPeerX509Certificate(),
    name: found?.name,
    names: found === undefined ? namesOf(leaf) : { ...namesOf(leaf), groups: found.groups },
    identifies: identity !== undefined,
  }
}

/** What OpenSSL finds wrong with the certificate of the peer, by its name. Node's types have an Error there. */
export function authorizationErrorOf({ authorizationError }: TLSSocket): string | undefined {
  return (authorizationError as unknown as string | null | undefined) ?? undefined
}
