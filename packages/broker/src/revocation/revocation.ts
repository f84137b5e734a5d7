/**
 * One revocation: who is not let in any more, by which key, and until when. In the store it is JSON under its
 * id; what a newer version of a node has written there and this one cannot read is left alone.
 */
export const REVOCATION_KEYS = ['serial', 'fingerprint', 'clientId', 'username'] as const
export type RevocationKey = (typeof REVOCATION_KEYS)[number]

export interface Revocation {
  /** `<key>:<value>`. */
  readonly id: string
  readonly key: RevocationKey
  readonly value: string
  readonly reason: string | undefined
  /** Ms since the epoch, as the next one. */
  readonly sinceMs: number
  /** Undefined: for ever. */
  readonly untilMs: number | undefined
  /** Somebody has said until when; otherwise it is the end of the certificates that it was seen to fit. */
  readonly fixed: boolean
}

/** Whom a revocation may fit. */
export interface Revocable {
  readonly clientId: string
  readonly user: string
  readonly certificate: RevocableCertificate | undefined
}

interface RevocableCertificate {
  /** Both as `normalValue` makes them. */
  readonly serial: string
  readonly fingerprint: string
  readonly notAfterMs: number
}

interface Stored {
  readonly key: RevocationKey
  readonly value: string
  readonly reason?: string
  readonly since: number
  readonly until?: number
  readonly fixed?: true
}

const FINGERPRINT_CHARACTERS = 64

export function isRevocationKey(text: string): text is RevocationKey {
  return (REVOCATION_KEYS as readonly string[]).includes(text)
}

/**
 * Numbers as OpenSSL, browsers and this broker write them: upper case, without colons, a serial number without
 * leading zeros. Undefined: it cannot be a value of this key.
 */
export function normalValue(key: RevocationKey, text: string): string | undefined {
  if (key === 'clientId' || key === 'username') return text === '' ? undefined : text
  const hex = text.replaceAll(':', '').toUpperCase()
  if (!/^[0-9A-F]+$/.test(hex)) return undefined
  if (key === 'serial') return hex.replace(/^0+(?=.)/, '')
  return hex.length === FINGERPRINT_CHARACTERS ? hex : undefined
}

export function revocationId(key: RevocationKey, value: string): string {
  return `${key}:${value}`
}

export function encodeRevocation(revocation: Omit<Revocation, 'id'>): string {
  const { key, value, reason, sinceMs, untilMs, fixed } = revocation
  const stored: Stored = {
    key,
    value,
    ...(reason === undefined ? {} : { reason }),
    since: sinceMs,
    ...(untilMs === undefined ? {} : { until: untilMs }),
    ...(fixed ? { fixed } : {}),
  }
  return JSON.stringify(stored)
}

/** Undefined: not of this version. */
export function decodeRevocation(id: string, text: string): Revocation | undefined {
  let stored: Partial<Stored>
  try {
    stored = JSON.parse(text) as Partial<Stored>
  } catch {
    return undefined
  }
  const { key, value, reason, since = 0, until, fixed = false } = stored
  if (key === undefined || value === undefined || !isRevocationKey(key)) return undefined
  if (revocationId(key, value) !== id) return undefined
  return { id, key, value, reason, sinceMs: since, untilMs: until, fixed }
}
