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

/** @throws {ConfigError} one line that names the setting, the file and what is wrong with it */
export function readNamedFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `${setting}: cannot read ${path} (${(error as { code?: string }).code})`,
      {
        cause: error,
      },
    )
  }
}
