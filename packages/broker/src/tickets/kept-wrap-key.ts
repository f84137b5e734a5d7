/**
 * The wrap key, kept equal to its file. In: changes of the file. Out: the key in use and, since what lies in Redis
 * was wrapped under it, the one before. A file that is no key is not used, and that is said once.
 */
import type { Events } from '../observe/events.ts'
import type { FileCheck, WatchedFiles } from '../files/watched-files.ts'
import { WrapKey } from './wrap-key.ts'

export interface KeptWrapKeyOptions {
  readonly path: string
  readonly first: WrapKey
  readonly watched: WatchedFiles
  readonly events: Pick<Events, 'fileInUse' | 'fileRefused'>
  readonly changed: () => void
}

export class KeptWrapKey implements Disposable {
  readonly #options: KeptWrapKeyOptions
  readonly #watch: Disposable
  #keys: readonly [WrapKey, ...WrapKey[]]
  #refusal: string | undefined

  constructor(options: KeptWrapKeyOptions) {
    const { path, first, watched } = options
    this.#options = options
    this.#keys = [first]
    this.#watch = watched.watch({ paths: [path], check: () => this.#check() })
  }

  /** The newest first. */
  get keys(): readonly [WrapKey, ...WrapKey[]] {
    return this.#keys
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }

  #check(): FileCheck {
    const { path, events, changed } = this.#options
    try {
      const found = WrapKey.read(path)
      this.#refusal = undefined
      const [current] = this.#keys
      if (found.equals(current)) return 'unchanged'
      this.#keys = [found, current]
    } catch (error) {
      const why = (error as Error).message
      if (why !== this.#refusal) events.fileRefused(path, why)
      this.#refusal = why
      return { refused: why }
    }
    events.fileInUse(path)
    changed()
    return 'in-use'
  }
}
