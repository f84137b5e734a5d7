/** The name that a client certificate gives to its client, by the rule of the listener. */
import type { X509Certificate } from 'node:crypto'
import type { IdentityRule } from '@breakwater/config'

export interface CertificateNames {
  /** Undefined where there are several. */
  readonly cn: string | undefined
  readonly uri: readonly string[]
  readonly dns: readonly string[]
  readonly email: readonly string[]
  /** Of the listener's rule, see `CertificateIdentity`. */
  readonly groups?: Readonly<Record<string, string>>
}

const LABELS = { uri: 'URI:', dns: 'DNS:', email: 'email:' } as const

export interface CertificateIdentity {
  readonly name: string
  /** What the other named groups of the rule's pattern have found: `tenant`, for example. */
  readonly groups: Readonly<Record<string, string>>
}

/**
 * Undefined: it has none, or more than one that fits and nobody could say which. A name is never guessed, nor
 * is what belongs to it.
 */
export function identityOf(
  certificate: X509Certificate,
  { field, pattern }: IdentityRule,
): CertificateIdentity | undefined {
  const values = field === 'cn' ? commonNames(certificate) : alternativeNames(certificate, field)
  const found = new Map<string, CertificateIdentity>()
  for (const value of values) {
    const identity = matchOf(value, pattern)
    if (identity !== undefined) found.set(JSON.stringify(identity), identity)
  }
  const [identity, another] = found.values()
  return another === undefined ? identity : undefined
}

function matchOf(value: string, pattern: RegExp | undefined): CertificateIdentity | undefined {
  if (pattern === undefined) return value === '' ? undefined : { name: value, groups: {} }
  const match = pattern.exec(value)
  if (match === null) return undefined
  const found = Object.entries(match.groups ?? {})
  // A group that took no part is no name; the whole value would be more than the rule asked for.
  const name = found.some(([group]) => group === 'name')
    ? match.groups?.['name']
    : match.length > 1
      ? match[1]
      : match[0]
  if (name === undefined || name === '') return undefined
  const others = found.filter(([group, text]) => group !== 'name' && text !== undefined)
  return { name, groups: Object.fromEntries(others) }
}

export function namesOf(certificate: X509Certificate): CertificateNames {
  const [cn, another] = commonNames(certificate)
  return {
    cn: another === undefined ? cn : undefined,
    uri: alternativeNames(certificate, 'uri'),
    dns: alternativeNames(certificate, 'dns'),
    email: alternativeNames(certificate, 'email'),
  }
}

/** RFC 2253, as OpenSSL writes it. */
const ESCAPED = /\\(?:([0-9A-F]{2})|(.))/g

/** One line per attribute; line breaks within a value are escaped. */
function commonNames({ subject }: X509Certificate): readonly string[] {
  if (subject === undefined) return []
  return subject
    .split('\n')
    .filter((line) => line.startsWith('CN='))
    .map((line) =>
      line.slice(3).replace(ESCAPED, (_all, hex: string, text: string) => {
        return text ?? String.fromCharCode(Number.parseInt(hex, 16))
      }),
    )
}

/**
 * Node joins them with a comma and a space, and writes a value with special characters as a JSON string, so
 * that no value can pretend to be two.
 */
function alternativeNames(
  { subjectAltName = '' }: X509Certificate,
  field: keyof typeof LABELS,
): readonly string[] {
  const label = LABELS[field]
  const parts = subjectAltName.match(/[^,:" ]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)/g) ?? []
  return parts
    .filter((part) => part.startsWith(label))
    .map((part) => part.slice(label.length))
    .map((value) => (value.startsWith('"') ? (JSON.parse(value) as string) : value))
}
