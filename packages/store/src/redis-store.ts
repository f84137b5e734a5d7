/**
 * The store on Redis. Three connections: `data` carries what a PUBLISH changes and what its receivers
 * acknowledge, each in its own order (`TurnWriter`); `control` carries sessions and reads; the third is for
 * aedes-persistence-redis.
 */
import { decodeMessage, encodeMessage, type Message } from '@breakwater/bus'
import {
  connectOrFail,
  createRedis,
  keysWith,
  startHeartbeat,
  type Keys,
  type Redis,
  type RedisSettings,
} from '@breakwater/redis'
import { AedesFilters } from './aedes-filters.ts'
import { RedisEffects } from './redis-effects.ts'
import { scanRetained } from './redis-retained.ts'
import { RedisSessions } from './redis-sessions.ts'
import { evaluate, loadWrites, READ, RELEASE, SENT, SETTLE, STORE_INBOUND } from './scripts.ts'
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
import { TurnWriter } from './turn-writer.ts'

export interface RedisStoreOptions extends QueueBounds {
  /** After so long without an answer a write fails and is not acknowledged; a session operation too. */
  readonly timeoutMs: number
  /** Writes that Redis has not taken: beyond these a write fails at once. */
  readonly pendingWritesMax?: number
  readonly pendingBytesMax?: number
  /** Faults that nobody awaits: a connection that dropped. */
  readonly onFault: (error: Error) => void
}

const PENDING_WRITES_MAX = 250_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const CLOSE_TIMEOUT_MS = 1_000

/** @throws {Error} one line when Redis cannot be reached */
export async function createRedisStore(
  settings: RedisSettings,
  options: RedisStoreOptions,
): Promise<Store> {
  const { timeoutMs, onFault } = options
  const data = createRedis(settings, 'data')
  const control = createRedis(settings, 'control', { timeoutMs })
  const prefixed = createRedis(settings, 'control', { timeoutMs, keyPrefix: settings.prefix })
  const connections = [data, control, prefixed]
  try {
    for (const connection of connections) {
      await connectOrFail(connection, settings)
      connection.on('error', onFault)
    }
    await loadWrites(control)
  } catch (error) {
    for (const connection of connections) connection.disconnect()
    throw error
  }
  return new RedisStore({ data, control, prefixed, keys: keysWith(settings.prefix), options })
}

interface Parts {
  readonly data: Redis
  readonly control: Redis
  readonly prefixed: Redis
  readonly keys: Keys
  readonly options: RedisStoreOptions
}

class RedisStore implements Store {
  readonly #data: Redis
  readonly #control: Redis
  readonly #keys: Keys
  /** What publishers wait for. */
  readonly #publishes: TurnWriter
  /** What receivers have taken: it makes room, and needs no order with the publishes. */
  readonly #receipts: TurnWriter
  readonly #effects: RedisEffects
  readonly #filters: AedesFilters
  readonly #sessions: RedisSessions
  readonly #connections: readonly Redis[]
  readonly #heartbeats: readonly Disposable[]

  constructor({ data, control, prefixed, keys, options }: Parts) {
    const { timeoutMs, onFault } = options
    this.#data = data
    this.#control = control
    this.#keys = keys
    const writerOptions = {
      timeoutMs,
      onFault,
      pendingWritesMax: options.pendingWritesMax ?? PENDING_WRITES_MAX,
      pendingBytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
    }
    this.#publishes = new TurnWriter(data, { ...writerOptions, batch: 'transaction' })
    this.#receipts = new TurnWriter(data, { ...writerOptions, batch: 'pipeline' })
    // A server that was started again knows no scripts.
    data.on('ready', () => void loadWrites(data).catch(() => undefined))
    this.#effects = new RedisEffects({ keys, writer: this.#publishes, bounds: options })
    this.#filters = new AedesFilters({ control, prefixed, keys })
    this.#sessions = new RedisSessions({ control, keys, filters: this.#filters })
    this.#connections = [data, control, prefixed]
    this.#heartbeats = this.#connections.map((redis) => startHeartbeat(redis, timeoutMs))
  }

  get available(): boolean {
    return this.#data.status === 'ready'
  }

  async openSession(clientId: string, persistent: boolean): Promise<OpenedSession> {
    // The session may have been in this node's hands until now: what it settled must be seen here.
    if (persistent) await this.#settled()
    return await this.#sessions.open(clientId, persistent)
  }

  async leaveSession(clientId: string): Promise<void> {
    await this.#sessions.touch([clientId])
  }

  async endSession(clientId: string): Promise<void> {
    await this.#sessions.end(clientId)
  }

  addSubscriptions(clientId: string, added: readonly StoredSubscription[]): Promise<void> {
    return this.#filters.add(clientId, added)
  }

  removeSubscriptions(clientId: string, filters: readonly string[]): Promise<void> {
    return this.#filters.remove(clientId, filters)
  }

  subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    return this.#filters.of(clientId)
  }

  allFilters(): AsyncIterable<readonly SessionFilters[]> {
    return this.#filters.all()
  }

  touchSessions(clientIds: readonly string[]): Promise<void> {
    return this.#sessions.touch(clientIds)
  }

  expireSessions(seenBefore: number): Promise<readonly string[]> {
    return this.#sessions.expire(seenBefore)
  }

  append(effects: PublishEffects, done: AppendDone): void {
    this.#effects.apply(effects, done)
  }

  async readQueue(
    clientId: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    const answer = (await evaluate(
      this.#control,
      READ,
      [this.#keys.session(clientId), this.#keys.queue(clientId)],
      [fromPosition, messagesMax, bytesMax],
    )) as Buffer[]
    const found: QueuedMessage[] = []
    for (let index = 0; index + 1 < answer.length; index += 2)
      found.push({
        position: Number(answer[index]),
        message: decodeMessage(answer[index + 1] as Buffer),
      })
    return found
  }

  recordSent(clientId: string, position: number): void {
    this.#receipts.script(SENT, [this.#keys.session(clientId)], [position])
  }

  settle(clientId: string, position: number): void {
    const keys = [this.#keys.session(clientId), this.#keys.queue(clientId)]
    this.#receipts.script(SETTLE, keys, [position])
  }

  release(
    clientId: string,
    position: number,
    packetId: number,
    done: (error?: Error) => void,
  ): void {
    this.#receipts.script(
      RELEASE,
      [this.#keys.session(clientId), this.#keys.queue(clientId), this.#keys.release(clientId)],
      [position, packetId],
      (error) => done(error),
    )
  }

  complete(clientId: string, packetId: number): void {
    this.#receipts.command(['hdel', this.#keys.release(clientId), packetId])
  }

  storeInbound(
    clientId: string,
    packetId: number,
    message: Message,
    done: (error?: Error) => void,
  ): void {
    const bytes = encodeMessage(message)
    this.#publishes.script(
      STORE_INBOUND,
      [this.#keys.session(clientId), this.#keys.inbound(clientId)],
      [packetId, bytes],
      (error) => done(error),
      bytes.length,
    )
  }

  async readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    const key = this.#keys.inbound(clientId)
    const found = await this.#control.hgetBuffer(key, String(packetId))
    return found === null ? undefined : decodeMessage(found)
  }

  deleteInbound(clientId: string, packetId: number, done: (error?: Error) => void): void {
    this.#publishes.command(['hdel', this.#keys.inbound(clientId), packetId], (error) =>
      done(error),
    )
  }

  async *retained(filter: string): AsyncIterable<readonly Message[]> {
    // A PUBLISH that this node has acknowledged must be seen by a SUBSCRIBE that follows it.
    await this.#publishes.settled()
    yield* scanRetained(this.#control, this.#keys.retained, filter)
  }

  async counts(): Promise<StoreCounts> {
    const [sessions, retained] = await Promise.all([
      this.#control.zcard(this.#keys.sessions),
      this.#control.hlen(this.#keys.retained),
    ])
    return { sessions, retained }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const impatience = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    if (this.available) await Promise.race([this.#settled(), late])
    clearTimeout(impatience)
    this.#publishes.close()
    this.#receipts.close()
    for (const heartbeat of this.#heartbeats) heartbeat[Symbol.dispose]()
    for (const connection of this.#connections) connection.disconnect()
  }

  async #settled(): Promise<void> {
    await Promise.all([this.#publishes.settled(), this.#receipts.settled()])
  }
}
