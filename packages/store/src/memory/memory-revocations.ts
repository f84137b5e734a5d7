import type {
  RevocationAnswer,
  RevocationChange,
  RevocationSnapshot,
  RevocationStore,
} from '../revocations.ts'

/** Gone with the process. */
export class MemoryRevocations implements RevocationStore {
  readonly #entries = new Map<string, string>()
  #version = 0
  #restored = 0

  async read(known: number): Promise<RevocationSnapshot | undefined> {
    if (known === this.#version) return undefined
    const restored = this.#restored
    return { version: this.#version, restored, entries: new Map(this.#entries) }
  }

  async change(
    { id, from, text, notBeforeMs = 0 }: RevocationChange,
    known: number,
    entriesMax: number,
  ): Promise<RevocationAnswer> {
    const previous = this.#version
    if (known > previous) return 'behind'
    const now = this.#entries.get(id)
    if (from !== undefined && from !== now) return 'unchanged'
    if (Date.now() < notBeforeMs) return 'unchanged'
    if (text === undefined) {
      if (!this.#entries.delete(id)) return 'unchanged'
      this.#raise(previous)
      return { previous, version: this.#version, id }
    }
    if (now === undefined && this.#entries.size >= entriesMax) return 'full'
    this.#entries.set(id, text)
    this.#raise(previous)
    return { previous, version: this.#version, id, text }
  }

  async restore(entries: ReadonlyMap<string, string>, known: number): Promise<void> {
    for (const [id, text] of entries) if (!this.#entries.has(id)) this.#entries.set(id, text)
    const isBehind = this.#version < known
    this.#raise(Math.max(this.#version, known))
    if (isBehind) this.#restored = this.#version
  }

  /** The time in µs, as in Redis. */
  #raise(least: number): void {
    this.#version = Math.max(Date.now() * 1_000, least + 1)
  }
}
