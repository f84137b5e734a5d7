/**
 * Password lines of `mosquitto_passwd`: `$7$iterations$salt$hash` (PBKDF2 with SHA-512) and the older
 * `$6$salt$hash` (SHA-512 once), bytes in base64.
 */
import { createHash, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)
const HASH_BYTES = 64
/** About a second of one core. */
const ITERATIONS_MAX = 1_000_000
const NUMBER = /^[1-9]\d*$/
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

export type VerifyPassword = (password: Buffer) => Promise<boolean>

/** Undefined for a text of another form. */
export function parseMosquittoHash(text: string): VerifyPassword | undefined {
  const [empty, scheme, ...fields] = text.split('$')
  if (empty !== '' || !fields.slice(-2).every((field) => BASE64.test(field))) return undefined
  if (scheme === '7' && fields.length === 3) return pbkdf2Verifier(fields)
  if (scheme === '6' && fields.length === 2) return sha512Verifier(fields)
  return undefined
}

function pbkdf2Verifier([count, saltText, hashText]: readonly string[]):
  | VerifyPassword
  | undefined {
  const iterations = NUMBER.test(count ?? '') ? Number(count) : 0
  const salt = Buffer.from(saltText ?? '', 'base64')
  const hash = Buffer.from(hashText ?? '', 'base64')
  if (iterations < 1 || iterations > ITERATIONS_MAX) return undefined
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
