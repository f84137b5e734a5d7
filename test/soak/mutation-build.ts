/**
 * A copy of the packages with a mistake in it: nodes run from the copy, the checkout is not touched, and the
 * product has no hook for this. A mistake is a replacement in one file whose place must be found exactly once.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import type { Edit } from './mutations.ts'

const PACKAGES = fileURLToPath(new URL('../../packages', import.meta.url))
const SCOPE = '@breakwater'

/** Returns the program of a node of the copy. */
export function buildMutant(edits: readonly Edit[]): string {
  const copy = join(temporaryDirectory('mutant-'), 'packages')
  for (const name of readdirSync(PACKAGES)) copyPackage(name, copy)
  for (const edit of edits) apply(copy, edit)
  return join(copy, 'broker', 'src', 'main.ts')
}

function copyPackage(name: string, copy: string): void {
  const [from, to] = [join(PACKAGES, name), join(copy, name)]
  cpSync(join(from, 'src'), join(to, 'src'), { recursive: true })
  cpSync(join(from, 'package.json'), join(to, 'package.json'))
  for (const entry of modulesOf(from)) {
    mkdirSync(join(to, 'node_modules', entry.folder), { recursive: true })
    const target =
      entry.folder === SCOPE
        ? join(copy, entry.name)
        : join(from, 'node_modules', entry.folder, entry.name)
    symlinkSync(target, join(to, 'node_modules', entry.folder, entry.name))
  }
}

/** Names in `node_modules`, those of a scope with it. */
function modulesOf(directory: string): { readonly folder: string; readonly name: string }[] {
  const list = (folder: string): string[] => {
    try {
      return readdirSync(folder).filter((name) => !name.startsWith('.'))
    } catch {
      // A package without dependencies has no such folder.
      return []
    }
  }
  const root = join(directory, 'node_modules')
  return list(root).flatMap((name) =>
    name.startsWith('@')
      ? list(join(root, name)).map((scoped) => ({ folder: name, name: scoped }))
      : [{ folder: '', name }],
  )
}

function apply(copy: string, { file, find, replace }: Edit): void {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  const count = text.split(find).length - 1
  if (count !== 1) throw new Error(`${file}: «${find}» is there ${count} times, not once`)
  // A function, since a text would have its dollar signs read as patterns.
  writeFileSync(
    path,
    text.replace(find, () => replace),
  )
}
