/**
 * Tells when something may have changed in the directories of some files.
 *
 * The directory is watched and not the file: a rotation of a mounted Secret replaces a symbolic link beside
 * the files, and who watches the file hears of the first rotation only. Events of one rotation are told once,
 * `SETTLE_MS` after the last of them. Some file systems tell nothing, so it is also told every `pollMs`.
 */
import { watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'

/** Two files that are copied one after the other are one change. */
const SETTLE_MS = 200

export interface DirectoryWatchOptions {
  readonly files: readonly string[]
  readonly pollMs: number
  readonly changed: () => void
  /** A directory cannot be watched: there are only the polls then. */
  readonly deaf: (directory: string, error: Error) => void
}

export class DirectoryWatch implements Disposable {
  readonly #watchers: FSWatcher[] = []
  readonly #poll: NodeJS.Timeout
  #settle: NodeJS.Timeout | undefined

  constructor({ files, pollMs, changed, deaf }: DirectoryWatchOptions) {
    const event = (): void => {
      clearTimeout(this.#settle)
      this.#settle = setTimeout(changed, SETTLE_MS).unref()
    }
    for (const directory of new Set(files.map((file) => dirname(file)))) {
      try {
        const watcher = watch(directory, { persistent: false }, event)
        watcher.on('error', (error) => deaf(directory, error))
        this.#watchers.push(watcher)
      } catch (error) {
        deaf(directory, error as Error)
      }
    }
    this.#poll = setInterval(changed, pollMs).unref()
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close()
    clearTimeout(this.#settle)
    clearInterval(this.#poll)
  }
}
