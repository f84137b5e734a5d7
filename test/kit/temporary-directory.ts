/**
 * One directory for everything that the tests of a run write, removed when the run is over: a worker that
 * is ended by its pool cleans up nothing itself. Vitest calls this once per run (`globalSetup`).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VARIABLE = 'BREAKWATER_TEST_DIRECTORY'

export function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'breakwater-test-'))
  process.env[VARIABLE] = directory
  // The same sources are compiled by hundreds of processes of a run: once is enough (`programEnvironment`).
  process.env['NODE_COMPILE_CACHE'] ??= join(directory, 'compiled')
  return () => rmSync(directory, { recursive: true, force: true })
}

/** A new directory below that of the run; outside of a test run, one that goes with the process. */
export function temporaryDirectory(prefix: string): string {
  const parent = process.env[VARIABLE]
  if (parent !== undefined) return mkdtempSync(join(parent, prefix))
  const directory = mkdtempSync(join(tmpdir(), `breakwater-${prefix}`))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}
