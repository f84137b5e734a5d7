/**
 * Files that belong together, read as one: all of before a rotation or all of after it.
 *
 * A mounted Secret is a directory whose files are symbolic links through `..data`, which a rotation replaces
 * at once. Each path is resolved once, the resolved files are read, and the paths are resolved again: if one
 * of them leads elsewhere by now, or what it led to is gone, the rotation came in between.
 */
import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'

/** A directory that is replaced faster than it can be read is not being rotated. */
const ATTEMPTS_MAX = 5

export interface FileSet {
  readonly bytes: ReadonlyMap<string, Buffer>
  /** Says whether two sets are the same. */
  readonly digest: string
}

/** @throws {FileFault} the file that cannot be read */
export function readFileSet(paths: readonly string[]): FileSet {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const resolved = paths.map((path) => named(path, () => realpathSync(path)))
      const contents = paths.map((path, index) =>
        named(path, () => readFileSync(resolved[index] as string)),
      )
      const moved = paths.find(
        (path, index) => named(path, () => realpathSync(path)) !== resolved[index],
      )
      if (moved === undefined) return setOf(paths, contents)
      if (attempt === ATTEMPTS_MAX) throw new FileFault(moved, { code: 'EAGAIN' })
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error
    }
  }
}

function setOf(paths: readonly string[], contents: readonly Buffer[]): FileSet {
  const hash = createHash('sha256')
  for (const content of contents) hash.update(`${content.length}:`).update(content)
  return {
    bytes: new Map(paths.map((path, index) => [path, contents[index] as Buffer])),
    digest: hash.digest('hex'),
  }
}

function named<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new FileFault(path, cause as { code?: string })
  }
}

/** A file of a set that cannot be read. */
export class FileFault extends Error {
  readonly path: string
  readonly code: string

  constructor(path: string, cause: { readonly code?: string }) {
    super(`${path} cannot be read (${cause.code ?? 'unknown error'})`, { cause })
    this.path = path
    this.code = cause.code ?? 'unknown error'
  }
}
