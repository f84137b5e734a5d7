/** Sessions in Redis: opened, spoken for, ended. Each step is one script, so that no other node sees half of it. */
import type { Keys, Redis } from '@breakwater/redis'
import type { AedesFilters } from './aedes-filters.ts'
import { END, evaluate, NEXT_EPOCH, OPEN } from './scripts.ts'
import type { OpenedSession } from './store.ts'

const EXPIRE_BATCH = 500
const TOUCH_BATCH = 1_000

export interface RedisSessionsParts {
  readonly control: Redis
  readonly keys: Keys
  readonly filters: AedesFilters
}

interface EndCondition {
  readonly epoch?: number
  readonly seenBefore?: number
}

export class RedisSessions {
  readonly #control: Redis
  readonly #keys: Keys
  readonly #filters: AedesFilters

  constructor({ control, keys, filters }: RedisSessionsParts) {
    this.#control = control
    this.#keys = keys
    this.#filters = filters
  }

  async open(clientId: string, persistent: boolean): Promise<OpenedSession> {
    const epoch = Number(await evaluate(this.#control, NEXT_EPOCH, [this.#keys.epoch], []))
    if (persistent) return await this.#resume(clientId, epoch)
    await this.#end(clientId, { epoch })
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

  async touch(clientIds: readonly string[]): Promise<void> {
    const now = Date.now()
    for (let start = 0; start < clientIds.length; start += TOUCH_BATCH) {
      const batch = clientIds.slice(start, start + TOUCH_BATCH)
      // XX: a session that has ended meanwhile is not entered again.
      await this.#control.zadd(
        this.#keys.sessions,
        'XX',
        ...batch.flatMap((clientId) => [now, clientId]),
      )
    }
  }

  async expire(seenBefore: number): Promise<readonly string[]> {
    const expired: string[] = []
    for (;;) {
      const candidates = await this.#control.zrangebyscore(
        this.#keys.sessions,
        '-inf',
        `(${seenBefore}`,
        'LIMIT',
        0,
        EXPIRE_BATCH,
      )
      if (candidates.length === 0) return expired
      // One that was resumed or touched a moment ago stays, and is no candidate the next time.
      const gone = await Promise.all(
        candidates.map((clientId) => this.#end(clientId, { seenBefore })),
      )
      expired.push(...candidates.filter((_, index) => gone[index]))
    }
  }

  async #resume(clientId: string, epoch: number): Promise<OpenedSession> {
    const keys = this.#keys
    const [answer, subscriptions] = await Promise.all([
      evaluate(
        this.#control,
        OPEN,
        [keys.session(clientId), keys.release(clientId), keys.inbound(clientId), keys.sessions],
        [clientId, epoch, Date.now()],
      ),
      this.#filters.of(clientId),
    ])
    const [present, sent, released, received] = answer as [number, Buffer, Buffer[], Buffer[]]
    return {
      present: present === 1,
      epoch,
      subscriptions,
      sentPosition: Number(sent),
      released: inOrder(released.map(Number)),
      received: received.map(Number),
    }
  }

  async #end(clientId: string, { epoch, seenBefore }: EndCondition): Promise<boolean> {
    const keys = this.#keys
    const gone = await evaluate(
      this.#control,
      END,
      [
        keys.session(clientId),
        keys.queue(clientId),
        keys.release(clientId),
        keys.inbound(clientId),
        keys.filters(clientId),
        keys.clients,
        keys.sessions,
      ],
      [clientId, epoch ?? '', seenBefore ?? ''],
    )
    return gone === 1
  }
}

/** Packet ids in the order in which they were released. */
function inOrder(pairs: readonly number[]): readonly number[] {
  const released: { packetId: number; order: number }[] = []
  for (let index = 0; index < pairs.length; index += 2)
    released.push({ packetId: pairs[index] as number, order: pairs[index + 1] as number })
  return released.sort((a, b) => a.order - b.order).map(({ packetId }) => packetId)
}
