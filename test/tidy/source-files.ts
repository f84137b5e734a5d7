import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const root: string = fileURLToPath(new URL('../../', import.meta.url))

export interface SourceFile {
  /** From the root of the repository, with slashes. */
  readonly path: string
  readonly text: string
}

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.tools', '.dev', 'results'])

/** Files below a folder whose name ends in one of these. */
export function filesBelow(folder: string, endings: readonly string[]): SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name))
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) return filesBelow(path, endings)
      if (!endings.some((ending) => entry.name.endsWith(ending))) return []
      return [{ path, text: readFileSync(join(root, path), 'utf8') }]
    })
}

/** The files that a file imports or exports from by a relative path, types included. */
export function relativeImports({ path, text }: SourceFile): string[] {
  return [...text.matchAll(/^(?:import|export) [^'"]*?from '(\.[^']+)'/gms)].map(([, from = '']) =>
    posix.join(posix.dirname(path), from),
  )
}

/** What a file imports at run time: paths from the root for relative ones, else the package's name. */
export function valueImports({ path, text }: SourceFile): string[] {
  const found: string[] = []
  for (const [, clause = '', from = ''] of text.matchAll(
    /^(?:import|export) ([^'"]*?) ?(?:from )?'([^']+)'/gms,
  )) {
    if (clause.startsWith('type ') || isTypesOnly(clause)) continue
    found.push(from.startsWith('.') ? posix.join(posix.dirname(path), from) : from)
  }
  return found
}

/** `{ type A, type B }` */
function isTypesOnly(clause: string): boolean {
  const names = /^\{([^}]*)\}$/s.exec(clause.trim())?.[1]
  if (names === undefined) return false
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .every((name) => name.startsWith('type '))
}
