/** What a setting may hold, read from its text. */
import type { ConfigError, SettingName } from './settings.ts'

export type Fail = (why: string) => ConfigError

/** Reads one setting. */
export type Read = <T>(
  name: SettingName,
  parse: (text: string, fail: Fail) => T,
  fallback: () => T,
) => T

export function parsePath(text: string, fail: Fail): string {
  if (text === '') throw fail('is empty; name a file or unset it')
  return text
}

export function parseBoolean(text: string, fail: (why: string) => Error): boolean {
  if (text === 'true') return true
  if (text === 'false') return false
  throw fail(`must be true or false, not "${text}"`)
}
