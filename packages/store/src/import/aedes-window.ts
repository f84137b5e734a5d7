/**
 * What aedes-persistence-redis takes for its connection while it reads a list: it is shown one window of the list
 * after the other, whose contents are read in one go, and it cannot write. Bound: the window.
 */
import type { Redis } from '@breakwater/redis'

/** What the package is given: a connection, or one of these. */
export type AedesConnection = Redis | AedesWindow

export class AedesWindow {
  readonly #redis: Redis
  readonly #size: number
  readonly #values = new Map<string, Buffer | null>()
  #start = 0
  #length = 0

  constructor(redis: Redis, size: number) {
    this.#redis = redis
    this.#size = size
  }

  /** Entries of the list in the window that was read last. */
  get length(): number {
    return this.#length
  }

  next(): void {
    this.#start += this.#size
  }

  async lrange(key: string): Promise<readonly string[]> {
    const keys = await this.#redis.lrange(key, this.#start, this.#start + this.#size - 1)
    this.#length = keys.length
    this.#values.clear()
    if (keys.length === 0) return keys
    const values = await this.#redis.mgetBuffer(...keys)
    for (const [index, name] of keys.entries()) this.#values.set(name, values[index] ?? null)
    return keys
  }

  getBuffer(key: string): Promise<Buffer | null> {
    return Promise.resolve(this.#values.get(key) ?? null)
  }

  /** The package takes what it cannot read off its list. */
  lrem(): Promise<number> {
    return Promise.resolve(0)
  }
}
