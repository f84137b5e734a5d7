/** Stored sessions in Redis: touched, counted, ended. Who opens them is in redis-owners.ts. */
import { bucketOf, BUCKETS, type Keys, type Servers } from '@breakwater/redis'
import { byBucket, pipelined, sessionKeys } from './buckets.ts'
import { END, nodeIn } from '../scripts/owner-scripts.ts'
import type { RedisUsers } from './redis-users.ts'
import { evaluate } from '../scripts/scripts.ts'
import type { HeldSession, StoredFacts } from '../store.ts'

const EXPIRE_BATCH = 500

export class RedisSessions {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #users: RedisUsers

  constructor({ control, keys, users }: { control: Servers; keys: Keys; users: RedisUsers }) {
    this.#control = control
    this.#keys = keys
    this.#users = users
  }

  /** Read one after the other: a session that ends meanwhile may be half there. */
  async facts(clientId: string): Promise<StoredFacts | undefined> {
    const bucket = bucketOf(clientId)
    const [fields, seen, filters, record] = await pipelined(this.#control, [
      ['hmget', this.#keys.session(clientId), 'epoch', 'user', 'count', 'bytes'],
      ['zscore', this.#keys.sessions(bucket), clientId],
      ['hlen', this.#keys.filters(clientId)],
      ['hget', this.#keys.owners(bucket), clientId],
    ])
    const [epoch, user, count, bytes] = fields as readonly (Buffer | null)[]
    if (!epoch) return undefined
    return {
      user: user?.toString(),
      nodeId: nodeIn(record as Buffer | null),
      seenMs: Number(seen ?? 0),
      filters: Number(filters),
      queuedMessages: Number(count ?? 0),
      queuedBytes: Number(bytes ?? 0),
    }
  }

  async end(clientId: string): Promise<void> {
    await this.#end(clientId, '')
  }

  async touch(clientIds: readonly string[]): Promise<void> {
    const now = Date.now()
    // XX: a session that has ended meanwhile is not entered again.
    await pipelined(
      this.#control,
      [...byBucket(clientIds)].map(([bucket, ids]) => [
        'zadd',
        this.#keys.sessions(bucket),
        'XX',
        ...ids.flatMap((clientId) => [now, clientId]),
      ]),
    )
  }

  async expire(seenBefore: number): Promise<readonly string[]> {
    const expired: string[] = []
    for (;;) {
      const before = expired.length
      const found = await this.#seenBefore(seenBefore)
      while (found.length > 0) {
        const candidates = found.splice(0, EXPIRE_BATCH)
        const gone = await Promise.all(
          candidates.map((clientId) => this.#end(clientId, seenBefore)),
        )
        expired.push(...candidates.filter((_, index) => gone[index]))
      }
      // What is connected, resumed or touched has been seen, and is no candidate the next time.
      if (expired.length === before) return expired
    }
  }

  async lost(held: readonly HeldSession[]): Promise<readonly string[]> {
    const answers = await pipelined(
      this.#control,
      held.map(({ clientId }) => ['hmget', this.#keys.session(clientId), 'epoch', 'last']),
    )
    return held
      .filter(({ epoch, position }, index) => {
        const [opened, last] = answers[index] as readonly (Buffer | null)[]
        if (!opened || Number(opened) < epoch) return true
        return Number(last ?? 0) < position
      })
      .map(({ clientId }) => clientId)
  }

  async count(): Promise<number> {
    const counts = await pipelined(
      this.#control,
      Array.from({ length: BUCKETS }, (_, bucket) => ['zcard', this.#keys.sessions(bucket)]),
    )
    return (counts as number[]).reduce((sum, count) => sum + count, 0)
  }

  /** Some of each bucket. */
  async #seenBefore(seenBefore: number): Promise<string[]> {
    const found = await pipelined(
      this.#control,
      Array.from({ length: BUCKETS }, (_, bucket) => [
        'zrangebyscore',
        this.#keys.sessions(bucket),
        '-inf',
        `(${seenBefore}`,
        'LIMIT',
        0,
        EXPIRE_BATCH,
      ]),
    )
    return (found as Buffer[][]).flat().map(String)
  }

  /** Whether it is gone. */
  async #end(clientId: string, seenBefore: number | ''): Promise<boolean> {
    const words = [clientId, Date.now(), seenBefore]
    const keys = sessionKeys(this.#keys, clientId)
    const answer = await evaluate(this.#control, END, keys, words)
    if (answer === 0) return false
    const account = (answer as Buffer).toString()
    // It has ended, whatever becomes of this: what is left in the set is found when that is full.
    await this.#users.leave(account, clientId).catch(() => undefined)
    return true
  }
}
