/** Services of the operator's that are asked about clients: who they are, and which keys sign their tokens. */
import { bareHost, parseUrl } from './listeners.ts'
import { ConfigError, type Settings } from './settings.ts'
import { parseBoolean, parsePath, type Fail, type Read } from './values.ts'

export interface JwtConfig {
  /** Path of a JWKS file, or where to fetch it. */
  readonly keys: string | URL
  /** PEM of the authorities of where they are fetched. */
  readonly caFile: string | undefined
  readonly audience: string | undefined
  readonly issuer: string | undefined
  readonly usernameClaim: string
}

export interface AuthHttpConfig {
  readonly url: URL
  /** Holds what the node shows to the service. */
  readonly tokenFile: string | undefined
  /** PEM of the authorities of the service. */
  readonly caFile: string | undefined
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/

/** Passwords are sent to it, and it decides who gets in. @throws {ConfigError} one line */
export function decideAuthHttp(settings: Settings, read: Read): AuthHttpConfig | undefined {
  const url = read<URL | undefined>('authHttpUrl', parseServiceUrl, () => undefined)
  if (url === undefined) return undefined
  const isPlainAllowed = read('authHttpPlain', parseBoolean, () => false)
  if (url.protocol === 'http:' && !isLoopback(url) && !isPlainAllowed)
    throw new ConfigError(
      `${settings.origin('authHttpUrl')}: passwords would be sent as plain text to ${url.host}: ` +
        'use https://, or set BREAKWATER_AUTH_HTTP_PLAIN=true where the network between is trusted',
    )
  return {
    url,
    tokenFile: read<string | undefined>('authHttpTokenFile', parsePath, () => undefined),
    caFile: decideAuthority(settings, read, 'authHttpCa', url),
  }
}

/** @throws {ConfigError} one line */
export function decideJwt(settings: Settings, read: Read): JwtConfig | undefined {
  const keys = read<string | URL | undefined>('jwtKeys', parseFileOrUrl, () => undefined)
  if (keys === undefined) return undefined
  return {
    keys,
    caFile: decideAuthority(settings, read, 'jwtCa', keys),
    audience: read<string | undefined>('jwtAudience', parsePath, () => undefined),
    issuer: read<string | undefined>('jwtIssuer', parsePath, () => undefined),
    usernameClaim: read('jwtUsernameClaim', parsePath, () => 'sub'),
  }
}

function decideAuthority(
  settings: Settings,
  read: Read,
  name: 'authHttpCa' | 'jwtCa',
  url: string | URL,
): string | undefined {
  const file = read<string | undefined>(name, parsePath, () => undefined)
  const isServed = typeof url !== 'string' && url.protocol === 'https:'
  if (file !== undefined && !isServed)
    throw new ConfigError(`${settings.origin(name)}: has no effect without an https:// URL`)
  return file
}

function isLoopback(url: URL): boolean {
  return LOOPBACK.test(bareHost(url))
}

function parseServiceUrl(text: string, fail: Fail): URL {
  const url = parseUrl(text, fail)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw fail('must start with https:// or http://')
  return url
}

/** Keys that are fetched decide who gets in: over TLS, or from this machine. */
function parseFileOrUrl(text: string, fail: Fail): string | URL {
  if (!/^[a-z][a-z+.-]*:\/\//i.test(text)) return parsePath(text, fail)
  const url = parseUrl(text, fail)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return url
  throw fail('must be a file, or start with https:// (http:// only for this machine)')
}
