/** The recorded version of the broker, see record.mjs: unpacked, as a program. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

interface Recorded {
  readonly version: string
  /** Settings that it knows; others stop its start. */
  readonly variables: readonly string[]
}

const folder = new URL('./previous/', import.meta.url)

const recorded = JSON.parse(readFileSync(new URL('version.json', folder), 'utf8')) as Recorded

/** What the tests' kit sets for this version may be unknown to that one. */
const START = `const known = ${JSON.stringify(recorded.variables)}
for (const name of Object.keys(process.env))
  if (name.startsWith('BREAKWATER_') && !known.includes(name)) delete process.env[name]
await import('./main.mjs')
`

/** Returns the path of its program. */
export function unpackPrevious(): string {
  const directory = temporaryDirectory('previous-')
  const file = (name: string): string => join(directory, 'dist', name)
  mkdirSync(join(directory, 'dist'))
  // Where a node looks for its version.
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ version: recorded.version }))
  writeFileSync(file('main.mjs'), gunzipSync(readFileSync(new URL('main.mjs.gz', folder))))
  writeFileSync(file('start.mjs'), START)
  return file('start.mjs')
}
