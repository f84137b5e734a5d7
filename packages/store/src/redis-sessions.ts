/** Sessions in Redis: opened, spoken for, ended. Each step is one script, so that no other node sees half of it. */
import { bucketOf, BUCKETS, type Keys, type Redis } from '@breakwater/redis'
import { byBucket, pipelined } from './buckets.ts'
import { subscriptionsIn } from './redis-filters.ts'
import { END, evaluate, FENCED, LEAVE, NEXT_EPOCH, OPEN } from './scripts.ts'
import type { OpenedSession, Owner } from './store.ts'

const EXPIRE_BATCH = 500

interface EndCondition {
  readonly epoch?: number
  readonly seenBefore?: number
  readonly user?: string
}

export class RedisSessions {
  readonly #control: Redis
  readonly #keys: Keys

  constructor({ control, keys }: { control: Redis; keys: Keys }) {
    this.#control = control
    this.#keys = keys
  }

  async open(
    clientId: string,
    persistent: boolean,
    user: string,
  ): Promise<OpenedSession | 'another-user'> {
    const epoch = Number(await evaluate(this.#control, NEXT_EPOCH, [this.#keys.epoch], []))
    if (persistent) return await this.#resume(clientId, epoch, user)
    if ((await this.#end(clientId, { epoch, user })) === FENCED) return 'another-user'
    return {
      present: false,
      epoch,
      subscriptions: [],
      sentPosition: 0,
      released: [],
      received: [],
    }
  }

  async end(clientId: string): Promise<void> {
    await this.#end(clientId, {})
  }

  async leave({ clientId, epoch }: Owner): Promise<void> {
    const keys = [this.#keys.session(clientId), this.#keys.sessions(bucketOf(clientId))]
    await evaluate(this.#control, LEAVE, keys, [epoch, clientId, Date.now()])
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
      const found = await this.#seenBefore(seenBefore)
      if (found.length === 0) return expired
      while (found.length > 0) {
        const candidates = found.splice(0, EXPIRE_BATCH)
        // One that was resumed or touched a moment ago stays, and is no candidate the next time.
        const gone = await Promise.all(
          candidates.map((clientId) => this.#end(clientId, { seenBefore })),
        )
        expired.push(...candidates.filter((_, index) => gone[index] === 1))
      }
    }
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

  async #resume(
    clientId: string,
    epoch: number,
    user: string,
  ): Promise<OpenedSession | 'another-user'> {
    const keys = this.#keys
    const bucket = bucketOf(clientId)
    const answer = await evaluate(
      this.#control,
      OPEN,
      [
        keys.session(clientId),
        keys.release(clientId),
        keys.inbound(clientId),
        keys.sessions(bucket),
        keys.filters(bucket),
      ],
      [clientId, epoch, Date.now(), user],
    )
    if (answer === FENCED) return 'another-user'
    const [present, sent, released, received, filters] = answer as Opened
    return {
      present: present === 1,
      epoch,
      subscriptions: subscriptionsIn(filters),
      sentPosition: Number(sent),
      released: inOrder(released.map(Number)),
      received: received.map(Number),
    }
  }

  async #end(clientId: string, { epoch, seenBefore, user }: EndCondition): Promise<number> {
    const keys = this.#keys
    const bucket = bucketOf(clientId)
    const gone = await evaluate(
      this.#control,
      END,
      [
        keys.session(clientId),
        keys.queue(clientId),
        keys.release(clientId),
        keys.inbound(clientId),
        keys.filters(bucket),
        keys.sessions(bucket),
      ],
      [clientId, epoch ?? '', seenBefore ?? '', ...(user === undefined ? [] : [user])],
    )
    return Number(gone)
  }
}

type Opened = readonly [
  present: number,
  sent: Buffer,
  released: readonly Buffer[],
  received: readonly Buffer[],
  filters: Buffer,
]

/** Packet ids in the order in which they were released. */
function inOrder(pairs: readonly number[]): readonly number[] {
  const released: { packetId: number; order: number }[] = []
  for (let index = 0; index < pairs.length; index += 2)
    released.push({ packetId: pairs[index] as number, order: pairs[index + 1] as number })
  return released.sort((a, b) => a.order - b.order).map(({ packetId }) => packetId)
}
