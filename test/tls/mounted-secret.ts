/**
 * A Secret as Kubernetes mounts it: each file is a symbolic link through `..data`, which an update replaces at
 * once by renaming another link over it (the kubelet's atomic writer).
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

export class MountedSecret {
  readonly directory: string
  #version = 0

  constructor(files: Readonly<Record<string, string | Buffer>>) {
    this.directory = temporaryDirectory('secret-')
    this.update(files)
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** Everything that it holds from now on. */
  update(files: Readonly<Record<string, string | Buffer>>): void {
    this.#version += 1
    const version = `..2026_11_21_00_00_00.${this.#version}`
    mkdirSync(this.path(version))
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(this.path(version), name), content)
    const data = this.path('..data')
    const before = existsSync(data) ? readlinkSync(data) : undefined
    symlinkSync(version, this.path('..data_tmp'))
    renameSync(this.path('..data_tmp'), data)
    for (const name of Object.keys(files))
      if (lstatSync(this.path(name), { throwIfNoEntry: false }) === undefined)
        symlinkSync(join('..data', name), this.path(name))
    if (before !== undefined) rmSync(this.path(before), { recursive: true })
  }
}
