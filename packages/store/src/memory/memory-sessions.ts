import type { MemorySession } from './memory-session.ts'
import type { ShareBounds } from '../share-bounds.ts'
import type { SessionTerms } from '../store.ts'

/** The stored sessions in memory, and how many each user has. */
export class MemorySessions {
  readonly all: Map<string, MemorySession> = new Map()
  readonly #shares: ShareBounds
  readonly #counts = new Map<string, number>()
  /** For whom a session counts. */
  readonly #accounts = new Map<string, string>()

  constructor(shares: ShareBounds) {
    this.#shares = shares
  }

  get size(): number {
    return this.all.size
  }

  get(clientId: string): MemorySession | undefined {
    return this.all.get(clientId)
  }

  /** Whether a session that does not exist may be made. */
  hasRoomFor(clientId: string, { persistent, account }: SessionTerms): boolean {
    if (!persistent || account === undefined || this.all.has(clientId)) return true
    return this.#countOf(account) < this.#shares.sessionsPerUserMax
  }

  make(clientId: string, session: MemorySession, account: string | undefined): void {
    this.all.set(clientId, session)
    if (account === undefined) return
    const count = this.#countOf(account) + 1
    this.#counts.set(account, count)
    this.#accounts.set(clientId, account)
    session.room = Math.floor(this.#shares.queueBytesPerUserMax / count)
  }

  delete(clientId: string): void {
    this.all.delete(clientId)
    const account = this.#accounts.get(clientId)
    if (account === undefined) return
    this.#accounts.delete(clientId)
    const others = this.#countOf(account) - 1
    if (others === 0) this.#counts.delete(account)
    else this.#counts.set(account, others)
  }

  clear(): void {
    this.all.clear()
    this.#counts.clear()
    this.#accounts.clear()
  }

  #countOf(account: string): number {
    return this.#counts.get(account) ?? 0
  }
}
