/**
 * Password lines of `mosquitto_passwd`: `$7$iterations$salt$hash` (PBKDF2 with SHA-512) and the older
 * `$6$salt$hash` (SHA-512 once), bytes in base64.
 */
import { createHash, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)
const HASH_BYTES = 64
const ITERATIONS_MAX = 10_000_000

export type VerifyPassword = (password: Buffer) => Promise<boolean>

/** Undefined for a text of another form. */
export function parseMosquittoHash(text: string): VerifyPassword | undefined {
  const [empty, scheme, ...fields] = text.split('$')
  if (empty !== '') return undefined
  if (scheme === '7' && fields.length === 3) return pbkdf2Verifier(fields)
  if (scheme === '6' && fields.length === 2) return sha512Verifier(fields)
  return undefined
}

function pbkdf2Verifier([count, saltText, hashText]: readonly string[]):
  | VerifyPassword
  | undefined {
  const iterations = Number(count)
  const salt = Buffer.from(saltText ?? '', 'base64')
  const hash = Buffer.from(hashText ?? '', 'base64')
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > ITERATIONS_MAX)
    return undefined
  if (hash.length !== HASH_BYTES) return undefined
  return async (password) =>
    timingSafeEqual(await derive(password, salt, iterations, HASH_BYTES, 'sha512'), hash)
}

function sha512Verifier([saltText, hashText]: readonly string[]): VerifyPassword | undefined {
  const salt = Buffer.from(saltText ?? '', 'base64')
  const hash = Buffer.from(hashText ?? '', 'base64')
  if (hash.length !== HASH_BYTES) return undefined
  return async (password) =>
    timingSafeEqual(createHash('sha512').update(password).update(salt).digest(), hash)
}
