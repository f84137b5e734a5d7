import type {
  RevocationAnswer,
  RevocationChange,
  RevocationSnapshot,
  RevocationStore,
} from './revocations.ts'

/** Gone with the process. */
export class MemoryRevocations implements RevocationStore {
  readonly #entries = new Map<string, string>()
  #version = 0

  async read(known: number): Promise<RevocationSnapshot | undefined> {
    if (known === this.#version) return undefined
    return { version: this.#version, entries: new Map(this.#entries) }
  }

  async change(
    { id, from, text }: RevocationChange,
    known: number,
    entriesMax: number,
  ): Promise<RevocationAnswer> {
    const previous = this.#version
    if (known > previous) return 'behind'
    const now = this.#entries.get(id)
    if (from !== undefined && from !== now) return 'unchanged'
    if (text === undefined) {
      if (!this.#entries.delete(id)) return 'unchanged'
      this.#version += 1
      return { previous, version: this.#version, id }
    }
    if (now === undefined && this.#entries.size >= entriesMax) return 'full'
    this.#entries.set(id, text)
    this.#version += 1
    return { previous, version: this.#version, id, text }
  }

  async restore(entries: ReadonlyMap<string, string>, known: number): Promise<void> {
    for (const [id, text] of entries) if (!this.#entries.has(id)) this.#entries.set(id, text)
    this.#version = Math.max(this.#version, known) + 1
  }
}
