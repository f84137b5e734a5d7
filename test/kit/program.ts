/** Programs that a test drives but the install does not bring: found, or named in the skip. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import type { TestContext } from 'vitest'

/** Debian keeps daemons where the PATH of an ordinary user does not look. */
const daemonFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** What runs where a test asks for one of these: Valkey speaks like Redis. */
const stands: Readonly<Record<string, string | undefined>> = {
  'redis-server': process.env['BREAKWATER_TEST_REDIS_SERVER'],
}

/** The path of a program, or undefined where it is not installed. */
export function findProgram(asked: string): string | undefined {
  const name = stands[asked] ?? asked
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...daemonFolders]
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/**
 * Inside a test: the paths of the programs it needs, in the order asked. Where one is missing the
 * test ends as a skip with the reason `<program> not installed`.
 */
export function skipWithout<const Names extends readonly string[]>(
  context: Pick<TestContext, 'skip'>,
  ...names: Names
): { [Index in keyof Names]: string } {
  const reason = missingReason(names)
  if (reason !== undefined) context.skip(reason)
  return names.map((name) => findProgram(name) ?? name) as { [Index in keyof Names]: string }
}

function missingReason(names: readonly string[]): string | undefined {
  const missing = names.filter((name) => findProgram(name) === undefined)
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    // Not there, or not ours to run: the next folder may have it.
    return false
  }
}
