/**
 * What is made of a file, kept equal to it while the node runs. In: its first version, which was read and found
 * good before (`node-files.ts`); changes in its directory, and a poll. Out: `current`, and `changed` after each new version. A version that is not good is not used: the one before
 * stays, and it is said once what is wrong. Bounds: `pollMs`, and those of the directory watch.
 */
import { ConfigError, readNamedFile } from '@breakwater/config'
import type { Events } from '../observe/events.ts'
import type { FileCheck, WatchedFiles } from './watched-files.ts'

/** A file that a setting names, read and found good. */
export interface GoodFile<Content> {
  /** For messages: the setting that names the file. */
  readonly setting: string
  readonly path: string
  /** @throws {ConfigError} one line that names the setting */
  readonly parse: (text: string) => Content
  readonly text: string
  readonly content: Content
}

/** Undefined where none is named. @throws {ConfigError} one line: it cannot be read, or its content is wrong */
export function readGoodFile<Content>(
  setting: string,
  path: string | undefined,
  parse: (text: string, path: string) => Content,
): GoodFile<Content> | undefined {
  if (path === undefined) return undefined
  const named = (text: string): Content => {
    try {
      return parse(text, path)
    } catch (cause) {
      const { message } = cause as Error
      if (!(cause instanceof ConfigError) || message.startsWith(setting)) throw cause
      throw new ConfigError(`${setting}: ${message}`, { cause })
    }
  }
  const text = readNamedFile(setting, path)
  return { setting, path, parse: named, text, content: named(text) }
}

interface KeptFileOptions<Content> {
  readonly file: GoodFile<Content>
  readonly watched: WatchedFiles
  readonly changed: (content: Content) => void
  readonly refused: (why: string) => void
}

export class KeptFile<Content> implements Disposable {
  readonly #options: KeptFileOptions<Content>
  readonly #watch: Disposable
  #text: string
  #current: Content
  #fault: string | undefined

  constructor(options: KeptFileOptions<Content>) {
    const { file, watched } = options
    this.#options = options
    this.#text = file.text
    this.#current = file.content
    this.#watch = watched.watch({ paths: [file.path], check: () => this.#check() })
  }

  get current(): Content {
    return this.#current
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }

  #check(): FileCheck {
    const { file, changed, refused } = this.#options
    const { setting, path, parse } = file
    try {
      const text = readNamedFile(setting, path)
      const isSame = text === this.#text
      if (!isSame) this.#current = parse(text)
      this.#text = text
      this.#fault = undefined
      if (isSame) return 'unchanged'
    } catch (error) {
      const why = (error as Error).message
      if (why !== this.#fault) refused(why)
      this.#fault = why
      return { refused: why }
    }
    changed(this.#current)
    return 'in-use'
  }
}

/** A file of this node: what happens to it is in the log. */
export function keepFile<Content>(
  events: Events,
  watched: WatchedFiles,
  file: GoodFile<Content>,
  changed: (content: Content) => void = () => undefined,
): KeptFile<Content> {
  const { path } = file
  return new KeptFile({
    file,
    watched,
    changed: (content) => {
      events.fileInUse(path)
      changed(content)
    },
    refused: (why) => events.fileRefused(path, why),
  })
}
