/**
 * A JSON Web Key Set (RFC 7517), read from a file or an answer. Keys that are not known here are passed over, as
 * RFC 7517 (5) wants it. Bound: KEYS_MAX keys, since a token that names none is tried with each that fits.
 */
import { createPublicKey } from 'node:crypto'
import { ConfigError } from '@breakwater/config'
import type { JSONWebKeySet, JWK } from 'jose'

/** Asymmetric ones only, so that who can verify cannot sign. */
export const TOKEN_ALGORITHMS: readonly string[] = [
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
const KEYS_MAX = 64
const RSA_BITS_MIN = 2_048

/** @throws {ConfigError} one line: it is no JWKS, or none of its keys verifies a token */
export function parseJwks(text: string, source: string): JSONWebKeySet {
  const fail = (why: string): ConfigError =>
    new ConfigError(
      `BREAKWATER_JWT_KEYS: ${source} ${why}; give a JWKS, {"keys":[…]}, of RSA, EC or Ed25519 public keys`,
    )
  const keys = keysIn(text)
  if (keys === undefined) throw fail('is no JSON Web Key Set')
  if (keys.length > KEYS_MAX) throw fail(`holds more than ${KEYS_MAX} keys`)
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
  if (use !== undefined && use !== 'sig') return false
  if (alg !== undefined && !TOKEN_ALGORITHMS.includes(alg)) return false
  try {
    const { asymmetricKeyDetails } = createPublicKey({
      key: key as JWK & { readonly kty: string },
      format: 'jwk',
    })
    return (asymmetricKeyDetails?.modulusLength ?? RSA_BITS_MIN) >= RSA_BITS_MIN
  } catch {
    return false
  }
}
