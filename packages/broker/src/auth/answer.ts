/**
 * What one way of logging in says of a client. The ways are asked in turn; the first answer counts, and who
 * has none passes the question on.
 */
import type { CertificateNames } from '@breakwater/certificates'
import type { CloseReasonId } from '../connection/close-reason.ts'

/** What a client shows with its CONNECT. */
export interface Credentials {
  readonly clientId: string
  /** Never empty: a user name of length 0 is none (section 3.1.3.4). */
  readonly username: string | undefined
  readonly password: Buffer | undefined
  /** Of a certificate that TLS has verified. */
  readonly certificate: CertificateNames | undefined
  /** `address:port`, for others' logs. */
  readonly peer: string
  /** The network of its address, where that is known to be the client's own. */
  readonly network: string | undefined
  readonly client: LoginClient
  /** By `performance.now()`: after that nobody waits for the answer. */
  readonly deadlineMs: number
}

/** The connection of a client that logs in. */
export interface LoginClient {
  readonly open: boolean
  /** Called once, when it is not open any more. */
  onClosed: (() => void) | undefined
}

interface Accepted {
  /** Who it is; undefined for a client without credentials. */
  readonly username: string | undefined
  readonly claims?: Readonly<Record<string, unknown>>
  /** When the connection must end, ms since the epoch. */
  readonly expiresAt?: number
  /** Whether what it was let in by is still good: asked once more as its session goes live. */
  readonly holds?: () => boolean
}

export interface Refused {
  readonly refused: CloseReasonId
  /** For the log, never for the client. */
  readonly detail?: string
}

export type Answer = Accepted | Refused

/** Undefined: somebody else has to know. */
export type Authenticator = (credentials: Credentials) => Promise<Answer | undefined>

export function isRefused(answer: Answer): answer is Refused {
  return 'refused' in answer
}
