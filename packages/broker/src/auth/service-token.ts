/** What a node shows to a service to say who it is: `Authorization: Bearer`. */
import { ConfigError } from '@breakwater/config'

/** Printable ASCII without spaces. */
const TOKEN = /^[\x21-\x7e]+$/
const TOKEN_BYTES_MAX = 8_192

/** @throws {ConfigError} one line, without the token */
export function parseServiceToken(text: string, path: string): string {
  const token = text.replace(/\r?\n$/, '')
  if (token === '') throw new ConfigError(`${path} is empty; write the token into it, on one line`)
  if (!TOKEN.test(token) || token.length > TOKEN_BYTES_MAX)
    throw new ConfigError(
      `${path} must hold one token, on one line: ${TOKEN_BYTES_MAX} characters at most, no spaces, nothing but ASCII`,
    )
  return token
}
