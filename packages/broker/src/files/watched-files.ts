/**
 * Everything of a node that is kept equal to files: each is looked at when something changes in its directories,
 * every `pollMs`, and all together when somebody asks for it (SIGHUP), with one line that says what became of
 * them.
 *
 * In: for each, its files and what looks at them. Out: calls of `check`; a report. Bounds: `pollMs`, those of the
 * directory watch; one look at all at a time, and one more behind it if it is asked for meanwhile.
 */
import { DirectoryWatch } from './directory-watch.ts'

export type FileCheck = 'unchanged' | 'in-use' | { readonly refused: string }

export interface WatchedFile {
  readonly paths: readonly string[]
  /** Reads again, uses what is new and good, says so as at any other change. */
  check(): FileCheck | Promise<FileCheck>
}

export interface FilesReport {
  /** So many were looked at. */
  readonly files: number
  /** Those of which something new is in use. */
  readonly inUse: readonly string[]
  /** Why something else is not; what was in use before stays. */
  readonly refused: readonly string[]
}

export interface WatchedFilesOptions {
  readonly pollMs: number
  /** A directory cannot be watched: there are only the polls then. */
  readonly deaf: (directory: string, error: Error) => void
  readonly readAgain: (report: FilesReport) => void
}

export class WatchedFiles {
  readonly #options: WatchedFilesOptions
  readonly #watched = new Set<WatchedFile>()
  #looking = false
  #askedMeanwhile = false

  constructor(options: WatchedFilesOptions) {
    this.#options = options
  }

  /** Until what it returns is disposed. */
  watch(watched: WatchedFile): Disposable {
    const { pollMs, deaf } = this.#options
    const directories = new DirectoryWatch({
      files: watched.paths,
      pollMs,
      changed: () => void watched.check(),
      deaf,
    })
    this.#watched.add(watched)
    return {
      [Symbol.dispose]: () => {
        this.#watched.delete(watched)
        directories[Symbol.dispose]()
      },
    }
  }

  async look(): Promise<void> {
    if (this.#looking) {
      this.#askedMeanwhile = true
      return
    }
    this.#looking = true
    do {
      this.#askedMeanwhile = false
      this.#options.readAgain(await this.#look())
    } while (this.#askedMeanwhile)
    this.#looking = false
  }

  async #look(): Promise<FilesReport> {
    const files = new Set<string>()
    const inUse = new Set<string>()
    const refused = new Set<string>()
    for (const watched of this.#watched) {
      for (const path of watched.paths) files.add(path)
      const outcome = await checked(watched)
      if (typeof outcome !== 'string') refused.add(outcome.refused)
      else if (outcome === 'in-use') for (const path of watched.paths) inUse.add(path)
    }
    return { files: files.size, inUse: [...inUse], refused: [...refused] }
  }
}

/** One that fails does not keep the others from being looked at. */
async function checked(watched: WatchedFile): Promise<FileCheck> {
  try {
    return await watched.check()
  } catch (error) {
    return { refused: (error as Error).message }
  }
}
