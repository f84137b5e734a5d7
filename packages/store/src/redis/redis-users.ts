/**
 * How many sessions each user has stored, in Redis: per user one set of client ids. A session that is made is
 * entered, and is given its part of `queueBytesPerUserMax` then: that, divided by how many sessions there are with
 * it. So all of them together have at most that times 1 + ln(`sessionsPerUserMax`), whoever ends in between.
 *
 * Sets and sessions lie in different slots of a Redis Cluster. What a node leaves behind that is killed between
 * two steps is a client id in the set without a session: it is found when the set is full, at most once in
 * AUDIT_MS per user, or goes with the set, 30 days after a session was made.
 */
import type { Keys, Servers } from '@breakwater/redis'
import { pipelined } from './buckets.ts'
import { evaluate } from '../scripts/scripts.ts'
import type { ShareBounds } from '../share-bounds.ts'
import type { Owner } from '../store.ts'
import { COUNT_FOR, ENTER } from '../scripts/user-scripts.ts'

const AUDIT_MS = 10_000
/** Users that were looked at of late; beyond these the oldest may be looked at again. */
const AUDITS_MAX = 1_000
/** Sessions that are looked at in one go. */
const AUDIT_BATCH = 1_000

export class RedisUsers {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #shares: ShareBounds
  readonly #audits = new Map<string, number>()

  constructor(parts: { control: Servers; keys: Keys; shares: ShareBounds }) {
    this.#control = parts.control
    this.#keys = parts.keys
    this.#shares = parts.shares
  }

  /** Whether the session may be: one that `exists` already, and counts for nobody yet, always may. */
  async enter(account: string, { clientId, epoch }: Owner, exists: boolean): Promise<boolean> {
    const { sessionsPerUserMax, queueBytesPerUserMax } = this.#shares
    const max = exists ? Number.MAX_SAFE_INTEGER : sessionsPerUserMax
    let count = await this.#enter(account, clientId, max)
    if (count === 0 && (await this.#audit(account)))
      count = await this.#enter(account, clientId, max)
    if (count === 0) return false
    const room = Math.floor(queueBytesPerUserMax / count)
    await evaluate(this.#control, COUNT_FOR, [this.#keys.session(clientId)], [epoch, account, room])
    return true
  }

  /** Its session has ended. It may have been made anew meanwhile, and entered before this: then it is again. */
  async leave(account: string, clientId: string): Promise<void> {
    const key = this.#keys.userSessions(account)
    const session = this.#keys.session(clientId)
    await this.#control.call(key, 'srem', key, clientId)
    if ((await this.#control.call(session, 'exists', session)) === 1)
      await this.#control.call(key, 'sadd', key, clientId)
  }

  async #enter(account: string, clientId: string, max: number): Promise<number> {
    const key = this.#keys.userSessions(account)
    return Number(await evaluate(this.#control, ENTER, [key], [clientId, max]))
  }

  /** Whether some have left. */
  async #audit(account: string): Promise<boolean> {
    const now = performance.now()
    if (now - (this.#audits.get(account) ?? -AUDIT_MS) < AUDIT_MS) return false
    this.#audits.delete(account)
    this.#audits.set(account, now)
    if (this.#audits.size > AUDITS_MAX)
      for (const oldest of [...this.#audits.keys()].slice(0, 1)) this.#audits.delete(oldest)
    const key = this.#keys.userSessions(account)
    const members = ((await this.#control.call(key, 'smembers', key)) as Buffer[]).map(String)
    const gone: string[] = []
    for (let start = 0; start < members.length; start += AUDIT_BATCH) {
      const batch = members.slice(start, start + AUDIT_BATCH)
      const found = await pipelined(
        this.#control,
        batch.map((clientId) => ['hmget', this.#keys.session(clientId), 'epoch', 'account']),
      )
      gone.push(
        ...batch.filter((_, index) => {
          const [epoch, counts] = found[index] as readonly (Buffer | null)[]
          // One that counts for nobody yet is being entered.
          return !epoch || (counts !== null && String(counts) !== account)
        }),
      )
    }
    if (gone.length > 0) await this.#control.call(key, 'srem', key, ...gone)
    return gone.length > 0
  }
}
