/**
 * The store on Redis. Three connections: `data` carries what a PUBLISH changes (in order, one MULTI per
 * event-loop turn, never sent again behind our back), `control` carries sessions and reads, and the third
 * belongs to aedes-persistence-redis.
 */
import { decodeMessage, encodeMessage, Message } from '@breakwater/bus'
import { connectOrFail, createRedis, keysWith } from '@breakwater/redis'
import type { Keys, Redis, RedisSettings } from '@breakwater/redis'
import { AedesFilters } from './aedes-filters.ts'
import { filterMatches, hasWildcard } from './filter.ts'
import { APPEND, OPEN, RELEASE, SENT, SETTLE, STORE_INBOUND } from './scripts.ts'
import type {
  AppendDone,
  OpenedSession,
  PublishEffects,
  QueueBounds,
  QueuedMessage,
  SessionFilters,
  Store,
  StoreCounts,
  StoredSubscription,
} from './store.ts'
import { loadScripts, TurnWriter } from './turn-writer.ts'

export interface RedisStoreOptions extends QueueBounds {
  /** After so long without an answer a write fails and is not acknowledged. */
  readonly timeoutMs: number
  /** Faults that nobody awaits: a connection that dropped. */
  readonly onFault: (error: Error) => void
}

/** @throws {Error} one line when Redis cannot be reached */
export async function createRedisStore(
  settings: RedisSettings,
  options: RedisStoreOptions,
): Promise<Store> {
  const data = createRedis(settings, 'data')
  const control = createRedis(settings, 'control')
  const foreign = createRedis(settings, 'control', { keyPrefix: settings.prefix })
  const connections = [data, control, foreign]
  try {
    for (const connection of connections) await connectOrFail(connection, settings)
  } catch (error) {
    for (const connection of connections) connection.disconnect()
    throw error
  }
  for (const connection of connections) connection.on('error', options.onFault)
  const filters = new AedesFilters(foreign)
  await Promise.all([loadScripts(control), filters.setup()])
  return new RedisStore({ data, control, filters, keys: keysWith(settings.prefix), options })
}

interface Parts {
  readonly data: Redis
  readonly control: Redis
  readonly filters: AedesFilters
  readonly keys: Keys
  readonly options: RedisStoreOptions
}

const EXPIRE_BATCH = 500
const RETAINED_SCAN_COUNT = 1_000

class RedisStore implements Store {
  readonly #parts: Parts
  readonly #writer: TurnWriter
  readonly #keys: Keys

  constructor(parts: Parts) {
    this.#parts = parts
    this.#keys = parts.keys
    this.#writer = new TurnWriter(parts.data, parts.options.timeoutMs)
  }

  get available(): boolean {
    return this.#parts.data.status === 'ready'
  }

  async openSession(clientId: string, persistent: boolean): Promise<OpenedSession> {
    const { control, filters } = this.#parts
    const epoch = await control.incr(this.#keys.epoch)
    if (!persistent) {
      await this.endSession(clientId)
      return {
        present: false,
        epoch,
        subscriptions: [],
        sentPosition: 0,
        released: [],
        received: [],
      }
    }
    // Of the same client, possibly still in this node's hands: what it settled must be seen here.
    await this.#writer.settled()
    const [opened, released, received, , subscriptions] = await Promise.all([
      control.evalsha(OPEN.sha, OPEN.keys, this.#keys.session(clientId), epoch),
      control.hgetall(this.#keys.release(clientId)),
      control.hkeys(this.#keys.inbound(clientId)),
      control.zadd(this.#keys.sessions, Date.now(), clientId),
      filters.of(clientId),
    ])
    const [present, sentPosition] = opened as [number, number]
    return {
      present: present === 1,
      epoch,
      subscriptions,
      sentPosition,
      released: Object.entries(released)
        .sort(([, a], [, b]) => Number(a) - Number(b))
        .map(([packetId]) => Number(packetId)),
      received: received.map(Number),
    }
  }

  async leaveSession(clientId: string): Promise<void> {
    await this.touchSessions([clientId])
  }

  async endSession(clientId: string): Promise<void> {
    const { control, filters } = this.#parts
    await Promise.all([
      control.del(
        this.#keys.session(clientId),
        this.#keys.queue(clientId),
        this.#keys.release(clientId),
        this.#keys.inbound(clientId),
      ),
      control.zrem(this.#keys.sessions, clientId),
      filters.clear(clientId),
    ])
  }

  async addSubscriptions(
    clientId: string,
    subscriptions: readonly StoredSubscription[],
  ): Promise<void> {
    await this.#parts.filters.add(clientId, subscriptions)
  }

  async removeSubscriptions(clientId: string, filters: readonly string[]): Promise<void> {
    await this.#parts.filters.remove(clientId, filters)
  }

  subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    return this.#parts.filters.of(clientId)
  }

  allFilters(): AsyncIterable<readonly SessionFilters[]> {
    return this.#parts.filters.all()
  }

  async touchSessions(clientIds: readonly string[]): Promise<void> {
    if (clientIds.length === 0) return
    const now = Date.now()
    // XX: a session that has ended meanwhile is not entered again.
    await this.#parts.control.zadd(
      this.#keys.sessions,
      'XX',
      ...clientIds.flatMap((clientId) => [now, clientId]),
    )
  }

  async expireSessions(seenBefore: number): Promise<readonly string[]> {
    const expired = await this.#parts.control.zrangebyscore(
      this.#keys.sessions,
      '-inf',
      `(${seenBefore}`,
      'LIMIT',
      0,
      EXPIRE_BATCH,
    )
    await Promise.all(expired.map((clientId) => this.endSession(clientId)))
    return expired
  }

  append(effects: PublishEffects, done: AppendDone): void {
    const { message, queues, replay = false } = effects
    const retain = message.retain && !replay
    const positions: number[] = Array.from({ length: queues.length }, () => 0)
    let dropped = 0
    let failure: Error | undefined
    let open = queues.length + (retain ? 1 : 0)
    const settle = (error: Error | undefined): void => {
      failure ??= error
      open -= 1
      if (open === 0) done(failure, { positions, dropped })
    }
    if (open === 0) {
      done(undefined, { positions, dropped })
      return
    }
    if (retain) {
      const { topic, payload } = message
      if (payload.length === 0) this.#writer.command(['hdel', this.#keys.retained, topic], settle)
      else
        this.#writer.command(['hset', this.#keys.retained, topic, encodeMessage(message)], settle)
    }
    const encoded: (Buffer | undefined)[] = []
    const { queueMessagesMax, queueBytesMax } = this.#parts.options
    for (const [index, { clientId, qos }] of queues.entries()) {
      const bytes = (encoded[qos] ??= encodeMessage(
        new Message(message.topic, message.payload, qos, replay),
      ))
      this.#writer.script(
        APPEND,
        [this.#keys.session(clientId), this.#keys.queue(clientId)],
        [bytes, queueMessagesMax, queueBytesMax],
        (error, result) => {
          if (error === undefined) {
            const [position, made] = result as [number, number]
            positions[index] = position
            dropped += made
          }
          settle(error)
        },
      )
    }
  }

  async readQueue(
    clientId: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    const entries = await this.#parts.control.xrangeBuffer(
      this.#keys.queue(clientId),
      `0-${fromPosition}`,
      '+',
      'COUNT',
      messagesMax,
    )
    const found: QueuedMessage[] = []
    let bytes = 0
    for (const [id, fields] of entries) {
      const field = fields[1]
      if (field === undefined) continue
      bytes += field.length
      if (bytes > bytesMax && found.length > 0) break
      found.push({
        position: Number(id.toString('latin1').slice(2)),
        message: decodeMessage(field),
      })
    }
    const last = found.at(-1)
    if (last !== undefined) this.recordSent(clientId, last.position)
    return found
  }

  recordSent(clientId: string, position: number): void {
    this.#writer.script(SENT, [this.#keys.session(clientId)], [position])
  }

  settle(clientId: string, position: number): void {
    this.#writer.script(
      SETTLE,
      [this.#keys.session(clientId), this.#keys.queue(clientId)],
      [position],
    )
  }

  release(clientId: string, position: number, packetId: number, done: () => void): void {
    this.#writer.script(
      RELEASE,
      [this.#keys.session(clientId), this.#keys.queue(clientId), this.#keys.release(clientId)],
      [position, packetId],
      (error) => {
        if (error === undefined) done()
      },
    )
  }

  complete(clientId: string, packetId: number): void {
    this.#writer.command(['hdel', this.#keys.release(clientId), packetId])
  }

  storeInbound(
    clientId: string,
    packetId: number,
    message: Message,
    done: (error?: Error) => void,
  ): void {
    this.#writer.script(
      STORE_INBOUND,
      [this.#keys.session(clientId), this.#keys.inbound(clientId)],
      [packetId, encodeMessage(message)],
      done,
    )
  }

  async readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    const found = await this.#parts.control.hgetBuffer(
      this.#keys.inbound(clientId),
      String(packetId),
    )
    return found === null ? undefined : decodeMessage(found)
  }

  deleteInbound(clientId: string, packetId: number, done: (error?: Error) => void): void {
    this.#writer.command(['hdel', this.#keys.inbound(clientId), packetId], done)
  }

  async *retained(filter: string): AsyncIterable<readonly Message[]> {
    const { control } = this.#parts
    // A PUBLISH that this node has acknowledged must be seen by a SUBSCRIBE that follows it.
    await this.#writer.settled()
    if (!hasWildcard(filter)) {
      const found = await control.hgetBuffer(this.#keys.retained, filter)
      if (found !== null) yield [decodeMessage(found)]
      return
    }
    let cursor = '0'
    do {
      const [next, pairs] = await control.hscanBuffer(
        this.#keys.retained,
        cursor,
        'COUNT',
        RETAINED_SCAN_COUNT,
      )
      cursor = next.toString()
      const chunk: Message[] = []
      for (let index = 1; index < pairs.length; index += 2) {
        const topic = pairs[index - 1]
        const value = pairs[index]
        if (topic === undefined || value === undefined) continue
        if (filterMatches(filter, topic.toString())) chunk.push(decodeMessage(value))
      }
      if (chunk.length > 0) yield chunk
    } while (cursor !== '0')
  }

  async counts(): Promise<StoreCounts> {
    const [sessions, retained] = await Promise.all([
      this.#parts.control.zcard(this.#keys.sessions),
      this.#parts.control.hlen(this.#keys.retained),
    ])
    return { sessions, retained }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.available) await this.#writer.settled()
    this.#writer.close()
    if (this.available) await this.#parts.filters.destroy()
    this.#parts.control.disconnect()
    this.#parts.data.disconnect()
  }
}
