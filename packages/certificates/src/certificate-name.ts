/** The name that a client certificate gives to its client, by the rule of the listener. */
import type { X509Certificate } from 'node:crypto'
import type { IdentityRule } from '@breakwater/config'
import { alternativeNamesOf, commonNameOf } from './subject-names.ts'

export interface CertificateNames {
  /** Undefined where there are several. */
  readonly cn: string | undefined
  readonly uri: readonly string[]
  readonly dns: readonly string[]
  readonly email: readonly string[]
  /** Of the listener's rule, see `CertificateIdentity`. */
  readonly groups?: Readonly<Record<string, string>>
}

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
  const { cn, ...alternative } = namesOf(certificate)
  const values = field !== 'cn' ? alternative[field] : cn === undefined ? [] : [cn]
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

export function namesOf({ raw }: X509Certificate): CertificateNames {
  return { cn: commonNameOf(raw), ...alternativeNamesOf(raw) }
}
