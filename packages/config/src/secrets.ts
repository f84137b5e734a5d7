/** Layer three: what must never be in a configuration object or a log line is read from files, late. */
import { readFileSync } from 'node:fs'
import { ConfigError } from './settings.ts'

/**
 * The content of a file that a setting names, without a trailing line break.
 *
 * @throws {ConfigError} one line that names the setting, the file and what is wrong with it
 */
export function readSecretFile(setting: string, path: string): string {
  return readNamedFile(setting, path).replace(/\r?\n$/, '')
}

/** What to do about an error of the file system. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'correct the path or make the file',
  EACCES: 'let the user that runs the node read it',
  EISDIR: 'name a file, not a directory',
}

/** Drops the byte order mark that some editors put at the beginning. */
const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Bytes that are not UTF-8 would all become one character: two users of a password file could be one.
 *
 * @throws {ConfigError} one line that names the setting, the file and what is wrong with it
 */
export function readNamedFile(setting: string, path: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw unreadable(setting, path, cause as { code?: string })
  }
  try {
    return UTF8.decode(bytes)
  } catch (cause) {
    throw new ConfigError(`${setting}: ${path} is not UTF-8; save it as UTF-8`, { cause })
  }
}

/** One line about a file that cannot be read. */
export function unreadable(
  setting: string,
  path: string,
  cause: { readonly code?: string },
): ConfigError {
  const code = cause.code ?? 'unknown error'
  const advice = ADVICE[code] ?? 'see that it can be read'
  return new ConfigError(`${setting}: cannot read ${path} (${code}); ${advice}`, { cause })
}
