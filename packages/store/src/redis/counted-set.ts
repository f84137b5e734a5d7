/**
 * What one user has of something that lies in other slots of a Redis Cluster: a sorted set of names, entered before or
 * after it is made and left when it has ended. What a node leaves behind that is killed between two steps is a name
 * in the set without the thing: it is found when the set is full, at most once in AUDIT_MS per user, or goes with
 * the set, 30 days after something was entered.
 */
import type { Servers } from '@breakwater/redis'
import { evaluate } from '../scripts/scripts.ts'
import { ENTER } from '../scripts/user-scripts.ts'

const AUDIT_MS = 10_000
/** What was entered so short a time ago may still be on its way. */
const UNDER_WAY_MS = 60_000
/** Users that were looked at of late; beyond these the oldest may be looked at again. */
const AUDITS_MAX = 1_000
/** Names that are looked at in one go. */
const AUDIT_BATCH = 1_000

export interface CountedSetOptions {
  readonly control: Servers
  readonly keyOf: (account: string) => string
  /** Of names in the set of an account: which do not belong there. */
  readonly gone: (account: string, names: readonly string[]) => Promise<readonly string[]>
}

export class CountedSet {
  readonly #options: CountedSetOptions
  readonly #audits = new Map<string, number>()

  constructor(options: CountedSetOptions) {
    this.#options = options
  }

  /** How many there are with this one; 0: it is one too many. */
  async enter(account: string, name: string, max: number): Promise<number> {
    const count = await this.#enter(account, name, max)
    return count === 0 && (await this.#audit(account)) ? this.#enter(account, name, max) : count
  }

  async leave(account: string, name: string): Promise<void> {
    const key = this.#options.keyOf(account)
    await this.#options.control.call(key, 'zrem', key, name)
  }

  async #enter(account: string, name: string, max: number): Promise<number> {
    const { control, keyOf } = this.#options
    return Number(await evaluate(control, ENTER, [keyOf(account)], [name, max, Date.now()]))
  }

  /** Whether some have left. */
  async #audit(account: string): Promise<boolean> {
    const now = performance.now()
    if (now - (this.#audits.get(account) ?? -AUDIT_MS) < AUDIT_MS) return false
    this.#audits.delete(account)
    this.#audits.set(account, now)
    if (this.#audits.size > AUDITS_MAX)
      for (const oldest of [...this.#audits.keys()].slice(0, 1)) this.#audits.delete(oldest)
    const { control, keyOf, gone } = this.#options
    const key = keyOf(account)
    const found = await control.call(key, 'zrangebyscore', key, '-inf', Date.now() - UNDER_WAY_MS)
    const names = (found as Buffer[]).map(String)
    const left: string[] = []
    for (let start = 0; start < names.length; start += AUDIT_BATCH)
      left.push(...(await gone(account, names.slice(start, start + AUDIT_BATCH))))
    if (left.length > 0) await control.call(key, 'zrem', key, ...left)
    return left.length > 0
  }
}
