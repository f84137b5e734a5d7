import type { IdentityVariable } from '@breakwater/config'
import type { CertificateNames } from '@breakwater/certificates'

/** Who a client is, as far as it was proved, and what rules may say of it. */
export interface Identity {
  readonly clientId: string
  /** Undefined for a client without credentials. */
  readonly username: string | undefined
  /** Of the certificate that the client showed, if any. */
  readonly certificate?: CertificateNames
  /** Of the token that it logged in with, if any. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/**
 * The values of a variable in a filter. A value that contains +, # or / never matches, so that a name which a client
 * chooses cannot widen its access. A URI has slashes by its nature, and was proved by an authority.
 */
export function valuesOf(variable: IdentityVariable, identity: Identity): readonly string[] {
  const unsafe = variable === 'cert.san.uri' ? /[+#\0]/ : /[+#\0/]/
  return provedValues(variable, identity).filter((value) => value !== '' && !unsafe.test(value))
}

/** What was proved of a client, as it is; the client id alone is only what it says. */
export function provedValues(variable: IdentityVariable, identity: Identity): readonly string[] {
  const { clientId, username, certificate, claims } = identity
  switch (variable) {
    case 'clientid':
      return [clientId]
    case 'username':
      return username === undefined ? [] : [username]
    case 'cert.cn':
      return certificate?.cn === undefined ? [] : [certificate.cn]
    case 'cert.san.uri':
      return certificate?.uri ?? []
    case 'cert.san.dns':
      return certificate?.dns ?? []
    case 'cert.san.email':
      return certificate?.email ?? []
    default:
      if (variable.startsWith('identity.')) {
        const group = variable.slice('identity.'.length)
        const { groups = {} } = certificate ?? {}
        return Object.hasOwn(groups, group) ? [groups[group] as string] : []
      }
      return claimValues(claims?.[variable.slice('jwt.'.length)])
  }
}

/** A claim may be one value or a list: text, a number, true or false. Anything else is none. */
export function claimValues(claim: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return values.filter(isClaimValue).map(String)
}

/** A whole number that was rounded when it was read could be that of somebody else. */
export function isClaimValue(value: unknown): value is string | number | boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) || !Number.isInteger(value)
  return typeof value === 'string' || typeof value === 'boolean'
}
