/**
 * How many sessions, and groups of shared subscriptions, each user has, in Redis: two sets per user. What is entered
 * is given its part of `queueBytesPerUserMax`: that, divided by how many there are with it. So the queues of all of
 * them together have at most that times 1 + ln of how many there may be, whoever ends in between.
 */
import type { Keys, Servers } from '@breakwater/redis'
import { pipelined } from './buckets.ts'
import { CountedSet } from './counted-set.ts'
import { evaluate } from '../scripts/scripts.ts'
import type { ShareBounds } from '../share-bounds.ts'
import type { Owner } from '../store.ts'
import { COUNT_FOR } from '../scripts/user-scripts.ts'

export class RedisUsers {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #shares: ShareBounds
  readonly #sessions: CountedSet
  readonly #groups: CountedSet

  constructor(parts: { control: Servers; keys: Keys; shares: ShareBounds }) {
    const { control, keys } = parts
    this.#control = control
    this.#keys = keys
    this.#shares = parts.shares
    this.#sessions = new CountedSet({
      control,
      keyOf: (account) => keys.userSessions(account),
      gone: (account, clientIds) => this.#sessionsGone(account, clientIds),
    })
    this.#groups = new CountedSet({
      control,
      keyOf: (account) => keys.userGroups(account),
      gone: (_account, filters) => this.#groupsGone(filters),
    })
  }

  /** Whether the session may be: one that `exists` already, and counts for nobody yet, always may. */
  async enter(account: string, { clientId, epoch }: Owner, exists: boolean): Promise<boolean> {
    const { sessionsPerUserMax } = this.#shares
    const max = exists ? Number.MAX_SAFE_INTEGER : sessionsPerUserMax
    const count = await this.#sessions.enter(account, clientId, max)
    if (count === 0) return false
    const words = [epoch, account, this.#roomOf(count)]
    await evaluate(this.#control, COUNT_FOR, [this.#keys.session(clientId)], words)
    return true
  }

  /** Its session has ended. It may have been made anew meanwhile, and entered before this: then it is again. */
  async leave(account: string, clientId: string): Promise<void> {
    const key = this.#keys.userSessions(account)
    const session = this.#keys.session(clientId)
    await this.#sessions.leave(account, clientId)
    if ((await this.#control.call(session, 'exists', session)) === 1)
      await this.#control.call(key, 'zadd', key, Date.now(), clientId)
  }

  /** Bytes that the queue of the group may have if this user makes it; 0: it is one group too many. */
  async enterGroup(account: string, filter: string): Promise<number> {
    const { sharedGroupsPerUserMax } = this.#shares
    const count = await this.#groups.enter(account, filter, sharedGroupsPerUserMax)
    return count === 0 ? 0 : this.#roomOf(count)
  }

  /** A user has one member less in the group; where that is gone, the user has it no more. */
  async leaveGroup(account: string, filter: string): Promise<void> {
    const gone = await this.#groupsGone([filter])
    if (gone.length > 0) await this.#groups.leave(account, filter)
  }

  #roomOf(count: number): number {
    return Math.floor(this.#shares.queueBytesPerUserMax / count)
  }

  async #sessionsGone(account: string, clientIds: readonly string[]): Promise<readonly string[]> {
    const found = await pipelined(
      this.#control,
      clientIds.map((clientId) => ['hmget', this.#keys.session(clientId), 'epoch', 'account']),
    )
    return clientIds.filter((_, index) => {
      const [epoch, counts] = found[index] as readonly (Buffer | null)[]
      return !epoch || String(counts ?? '') !== account
    })
  }

  async #groupsGone(filters: readonly string[]): Promise<readonly string[]> {
    const found = await pipelined(
      this.#control,
      filters.map((filter) => ['exists', this.#keys.shared(filter)]),
    )
    return filters.filter((_, index) => found[index] === 0)
  }
}
