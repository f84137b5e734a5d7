/**
 * What is made of a file, kept equal to it while the node runs. In: changes in its directory, and a poll. Out:
 * `current`, and `changed` after each new version. A version that is not good is not used: the one before
 * stays, and it is said once what is wrong. Bounds: `pollMs`, and those of the directory watch.
 */
import { readNamedFile, type Limits } from '@breakwater/config'
import { DirectoryWatch } from './certificates/directory-watch.ts'
import type { Events } from './events.ts'

interface KeptFileOptions<Content> {
  /** For messages: the setting that names the file. */
  readonly setting: string
  readonly path: string
  readonly pollMs: number
  /** @throws {ConfigError} one line */
  readonly parse: (text: string, path: string) => Content
  readonly changed: (content: Content) => void
  readonly refused: (why: string) => void
  readonly deaf: (directory: string, error: Error) => void
}

export class KeptFile<Content> implements Disposable {
  readonly #options: KeptFileOptions<Content>
  readonly #watch: DirectoryWatch
  #text: string
  #current: Content
  #fault: string | undefined

  /** @throws {ConfigError} the first version is not good */
  constructor(options: KeptFileOptions<Content>) {
    const { setting, path, parse, pollMs, deaf } = options
    this.#options = options
    this.#text = readNamedFile(setting, path)
    this.#current = parse(this.#text, path)
    this.#watch = new DirectoryWatch({ files: [path], pollMs, changed: () => this.#check(), deaf })
  }

  get current(): Content {
    return this.#current
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }

  #check(): void {
    const { setting, path, parse, changed, refused } = this.#options
    try {
      const text = readNamedFile(setting, path)
      if (text === this.#text) return
      this.#current = parse(text, path)
      this.#text = text
      this.#fault = undefined
    } catch (error) {
      const why = (error as Error).message
      if (why !== this.#fault) refused(why)
      this.#fault = why
      return
    }
    changed(this.#current)
  }
}

/** A file of this node: what happens to it is in the log. @throws {ConfigError} the first version is not good */
export function keepFile<Content>(
  events: Events,
  { filePollMs }: Pick<Limits, 'filePollMs'>,
  setting: string,
  path: string,
  parse: (text: string, path: string) => Content,
  changed: (content: Content) => void = () => undefined,
): KeptFile<Content> {
  return new KeptFile({
    setting,
    path,
    parse,
    pollMs: filePollMs,
    changed: (content) => {
      events.fileInUse(path)
      changed(content)
    },
    refused: (why) => events.fileRefused(path, why),
    deaf: (directory, error) => events.certificatesUnwatched(directory, error),
  })
}
