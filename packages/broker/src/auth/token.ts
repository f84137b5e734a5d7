/**
 * A JSON Web Token as the password (RFC 7519). Keys come from a JWKS file or URL; signatures are asymmetric,
 * so that who can verify cannot sign. The token must end (`exp`), and with it ends the connection.
 *
 * A password that does not look like a token is somebody else's. Bounds: those of CONNECT, and
 * FETCH_TIMEOUT_MS for keys; between two fetches lie FETCH_COOLDOWN_MS.
 */
import { createPublicKey } from 'node:crypto'
import { ConfigError } from '@breakwater/config'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose'
import type { Answer, Authenticator } from './answer.ts'

export interface TokenOptions {
  /** A JWKS, or where to fetch it. */
  readonly keys: JSONWebKeySet | URL
  readonly audience: string | undefined
  readonly issuer: string | undefined
  /** The claim that holds the user name. */
  readonly usernameClaim: string
}

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/
const CLOCK_TOLERANCE_S = 5
const FETCH_TIMEOUT_MS = 3_000
const FETCH_COOLDOWN_MS = 30_000
const KEYS_AGE_MAX_MS = 600_000

/**
 * Keys that nobody here knows are passed over, as RFC 7517 (5) wants it; one at least must be known.
 *
 * @throws {ConfigError} one line: it is no JWKS, or none of its keys verifies a token
 */
export function parseJwks(text: string, path: string): JSONWebKeySet {
  const fail = (why: string): ConfigError =>
    new ConfigError(
      `BREAKWATER_JWT_KEYS: ${path} ${why}; give a JWKS, {"keys":[…]}, of RSA, EC or Ed25519 public keys`,
    )
  const keys = keysIn(text)
  if (keys === undefined) throw fail('is no JSON Web Key Set')
  const place = keys.findIndex((key) => typeof key === 'object' && key !== null && 'd' in key)
  if (place !== -1)
    throw fail(`holds a private key (number ${place + 1}), which belongs to its issuer alone`)
  const known = keys.filter((key) => verifies(key))
  if (known.length === 0) throw fail('holds no key that verifies a token')
  return { keys: known }
}

function keysIn(text: string): readonly unknown[] | undefined {
  try {
    const parsed = JSON.parse(text) as { readonly keys?: unknown } | null
    return Array.isArray(parsed?.keys) ? parsed.keys : undefined
  } catch {
    return undefined
  }
}

function verifies(key: unknown): key is JWK {
  if (typeof key !== 'object' || key === null) return false
  const { use, alg } = key as JWK
  if ((use !== undefined && use !== 'sig') || (alg !== undefined && !ALGORITHMS.includes(alg)))
    return false
  try {
    createPublicKey({ key: key as JWK & { readonly kty: string }, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

export function createTokenAuthenticator(options: TokenOptions): Authenticator {
  const { audience, issuer, usernameClaim } = options
  const keys = keysOf(options.keys)
  const checks = {
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp', usernameClaim],
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  }
  return async ({ username, password }) => {
    const token = password?.toString('latin1') ?? ''
    if (!TOKEN.test(token)) return undefined
    try {
      const { payload } = await jwtVerify(token, keys, checks)
      const name = payload[usernameClaim]
      if (typeof name !== 'string' || name === '')
        return refused(`the claim ${usernameClaim} is no text`)
      // MQTT 3.1.1 has no password without a user name; one that says another name is a mistake.
      if (username !== undefined && username !== name)
        return refused(`the user name is not that of the claim ${usernameClaim}`)
      return { username: name, claims: payload, expiresAt: (payload.exp as number) * 1_000 }
    } catch (error) {
      return failureOf(error as Error)
    }
  }
}

function keysOf(keys: JSONWebKeySet | URL): JWTVerifyGetKey {
  if (!(keys instanceof URL)) return createLocalJWKSet(keys)
  return createRemoteJWKSet(keys, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: FETCH_COOLDOWN_MS,
    cacheMaxAge: KEYS_AGE_MAX_MS,
  })
}

function failureOf(error: Error): Answer {
  const { code } = error as errors.JOSEError
  // Without keys nobody can say who is right: that is no fault of the client.
  const unknown = !(error instanceof errors.JOSEError) || UNAVAILABLE.has(code)
  return unknown
    ? { refused: 'authentication-unavailable', detail: error.message }
    : refused(error.message)
}

const UNAVAILABLE: ReadonlySet<string> = new Set([
  'ERR_JWKS_TIMEOUT',
  'ERR_JWKS_INVALID',
  'ERR_JOSE_GENERIC',
])

function refused(detail: string): Answer {
  return { refused: 'bad-credentials', detail }
}
