/** The recorded version of the broker, see record.mjs: unpacked, as a program. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

interface Recorded {
  readonly version: string
  readonly commit: string
}

const folder = new URL('./previous/', import.meta.url)

const recorded = JSON.parse(readFileSync(new URL('version.json', folder), 'utf8')) as Recorded

/** Returns the path of its main file. */
export function unpackPrevious(): string {
  const directory = temporaryDirectory('previous-')
  mkdirSync(join(directory, 'dist'))
  // Where a node looks for its version.
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ version: recorded.version }))
  const main = join(directory, 'dist', 'main.mjs')
  writeFileSync(main, gunzipSync(readFileSync(new URL('main.mjs.gz', folder))))
  return main
}
