/**
 * The store on Redis. Two connections, to each master of a cluster: `data` carries what a PUBLISH changes
 * (`PublishWriter`) and what its receivers acknowledge (`ReceiptWriter`), each in its own order; `control` carries
 * sessions and reads.
 */
import { encodeMessage, type Message } from '@breakwater/bus'
import {
  keysWith,
  openPlace,
  type Keys,
  type OnBadValue,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import { createConfirmation, type AckLevel, type Confirmation } from './confirmation.ts'
import type { OnWritten } from './publish-writer.ts'
import { readableMessage } from './readable-message.ts'
import { RedisEffects } from './redis-effects.ts'
import { RedisFilters } from './redis-filters.ts'
import { RedisRetained } from './redis-retained.ts'
import { RedisOwners } from './redis-owners.ts'
import { RedisRevocations } from './redis-revocations.ts'
import { RedisSessions } from './redis-sessions.ts'
import { RedisShared } from './redis-shared.ts'
import { RedisUsers } from './redis-users.ts'
import { evaluate, FENCED, READ } from '../scripts/scripts.ts'
import type { RevocationStore } from '../revocations.ts'
import type { SharedQueues } from '../shared-queues.ts'
import {
  FencedError,
  type AdoptedClient,
  type AppendDone,
  type ChangedFilters,
  type Claimant,
  type Claimed,
  type ClaimRefusal,
  type ClientClaim,
  type HeldSession,
  type OnFenced,
  type OpenedSession,
  type HeldClient,
  type Owner,
  type PublishEffects,
  type QueuedMessage,
  type Released,
  type RetainedRead,
  type SessionFilters,
  type SessionTerms,
  type Store,
  type StoreBounds,
  type StoreCounts,
  type StoredFacts,
  type StoredSubscription,
} from '../store.ts'
import { InboundFullError, UNBOUNDED, type ShareBounds } from '../share-bounds.ts'
import { INBOUND_FULL, loadWrites } from '../scripts/write-scripts.ts'
import { WriterGroups } from './writer-groups.ts'

export interface RedisStoreOptions extends StoreBounds {
  /** After so long without an answer a write fails and is not acknowledged; a session operation too. */
  readonly timeoutMs: number
  /** Writes that Redis has not taken: beyond these a write fails at once. */
  readonly pendingWritesMax?: number
  readonly pendingBytesMax?: number
  /** Faults that nobody awaits: a connection that dropped. */
  readonly onFault: (error: Error) => void
  /** A write was refused: its session has another owner by now. */
  readonly onFenced?: OnFenced
  /** What an acknowledgement asks for; default: `stored`. */
  readonly ack?: AckLevel
  /** Writes could not be confirmed at that level in time, and why; undefined: they can be again. */
  readonly onHeld?: (why: string | undefined) => void
  readonly onWritten?: OnWritten
  /** What lies in Redis and cannot be read is left out, and told. */
  readonly onBadValue?: OnBadValue
}

const PENDING_WRITES_MAX = 250_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const CLOSE_TIMEOUT_MS = 800

/** @throws {Error} one line when Redis cannot be reached, or cannot confirm at the level that is asked for */
export async function createRedisStore(
  settings: RedisSettings,
  options: RedisStoreOptions,
): Promise<Store> {
  const { timeoutMs, onFault, onBadValue = () => undefined, ack = 'stored' } = options
  await using stack = new AsyncDisposableStack()
  const place = stack.use(await openPlace(settings))
  const data = stack.use(await place.servers('data', { heartbeatMs: timeoutMs }))
  const control = stack.use(
    await place.servers('control', { heartbeatMs: timeoutMs, timeoutMs, onBadValue }),
  )
  for (const servers of [data, control]) servers.onFault(onFault)
  // Before the first write; a server that was started again knows no scripts.
  await Promise.all(data.all.map(loadWrites))
  data.onReady((redis) => void loadWrites(redis).catch(() => undefined))
  const confirmation = await createConfirmation(ack, data.all)
  const keys = keysWith(settings.prefix)
  return new RedisStore({ data, control, keys, confirmation, options, connections: stack.move() })
}

interface Parts {
  readonly data: Servers
  readonly control: Servers
  readonly keys: Keys
  readonly confirmation: Confirmation | undefined
  readonly options: RedisStoreOptions
  readonly connections: AsyncDisposable
}

class RedisStore implements Store {
  readonly #data: Servers
  readonly #control: Servers
  readonly #keys: Keys
  readonly #onFenced: (owner: Owner) => void
  readonly #onBadValue: OnBadValue
  readonly #shares: ShareBounds
  readonly #writers: WriterGroups
  /** Whether an acknowledgement asks for more than an answer. */
  readonly #confirms: boolean
  readonly shared: SharedQueues
  readonly revocations: RevocationStore
  readonly #effects: RedisEffects
  readonly #filters: RedisFilters
  readonly #owners: RedisOwners
  readonly #sessions: RedisSessions
  readonly #retained: RedisRetained
  readonly #connections: AsyncDisposable

  constructor({ data, control, keys, confirmation, options, connections }: Parts) {
    this.#data = data
    this.#control = control
    this.#keys = keys
    this.#connections = connections
    const onBadValue = options.onBadValue ?? (() => undefined)
    this.#onBadValue = onBadValue
    this.#onFenced = ({ clientId, epoch }) => options.onFenced?.(clientId, epoch)
    this.#shares = { ...UNBOUNDED, ...options.shares }
    const writers = new WriterGroups({
      servers: data,
      keys,
      timeoutMs: options.timeoutMs,
      onFault: options.onFault,
      pendingWritesMax: options.pendingWritesMax ?? PENDING_WRITES_MAX,
      pendingBytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
      bounds: options,
      confirmation,
      onHeld: options.onHeld,
      onWritten: options.onWritten,
      onBadValue,
      onFenced: this.#onFenced,
    })
    this.#writers = writers
    this.#confirms = confirmation !== undefined
    const users = new RedisUsers({ control, keys, shares: this.#shares })
    this.shared = new RedisShared({ control, keys, writers, users, onBadValue })
    this.revocations = new RedisRevocations({ control, keys, onBadValue })
    this.#filters = new RedisFilters({ control, keys, onBadValue })
    this.#owners = new RedisOwners({
      control,
      keys,
      users,
      onBadValue,
      timeoutMs: options.timeoutMs,
      written: (clientId) => writers.settledOf(clientId),
      confirmed: (clientId, operation) => this.#confirmed(clientId, operation),
    })
    this.#sessions = new RedisSessions({ control, keys, users })
    this.#retained = new RedisRetained({ control, keys, onBadValue })
    this.#effects = new RedisEffects({
      keys,
      writers,
      retained: this.#retained,
      shares: this.#shares,
    })
  }

  get available(): boolean {
    return this.#data.ready
  }

  claimClient(claim: ClientClaim, claimant?: Claimant): Promise<Claimed | ClaimRefusal> {
    return this.#owners.claim(claim, claimant)
  }

  openSession(
    owner: Owner,
    terms: SessionTerms,
  ): Promise<OpenedSession | 'taken-over' | ClaimRefusal> {
    return this.#owners.open(owner, terms)
  }

  leaveClient(owner: Owner): Promise<void> {
    return this.#owners.leave(owner)
  }

  replacedOwners(owners: readonly Owner[]): Promise<readonly Owner[]> {
    return this.#owners.replaced(owners)
  }

  restoreOwners(clients: readonly HeldClient[]): Promise<readonly Owner[]> {
    return this.#owners.restore(clients)
  }

  adoptClients(
    departedNodeId: string | undefined,
    byNodeId: string,
  ): AsyncIterable<readonly AdoptedClient[]> {
    return this.#owners.adopt(departedNodeId, byNodeId)
  }

  sessionFacts(clientId: string): Promise<StoredFacts | undefined> {
    return this.#sessions.facts(clientId)
  }

  async endSession(clientId: string): Promise<void> {
    await this.#sessions.end(clientId)
  }

  async addSubscriptions(owner: Owner, added: readonly StoredSubscription[]): Promise<void> {
    const add = () => this.#filters.add(owner, added)
    this.#refuseFenced(owner, await this.#confirmed(owner.clientId, add))
  }

  async removeSubscriptions(owner: Owner, filters: readonly string[]): Promise<void> {
    const remove = () => this.#filters.remove(owner, filters)
    this.#refuseFenced(owner, await this.#confirmed(owner.clientId, remove))
  }

  async subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    const [found] = await this.#filters.of([clientId])
    return found?.subscriptions ?? []
  }

  allFilters(): AsyncIterable<readonly SessionFilters[]> {
    return this.#filters.all()
  }

  lostSessions(held: readonly HeldSession[]): Promise<readonly string[]> {
    return this.#sessions.lost(held)
  }

  filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    return this.#filters.of(clientIds)
  }

  filtersAmong(changed: readonly ChangedFilters[]): Promise<readonly SessionFilters[]> {
    return this.#filters.among(changed)
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
    owner: Owner,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    const { clientId, epoch } = owner
    const [owned, ...answer] = (await evaluate(
      this.#control,
      READ,
      [this.#keys.session(clientId), this.#keys.queue(clientId)],
      [epoch, fromPosition, messagesMax, bytesMax],
    )) as [number, ...Buffer[]]
    if (owned !== 1) this.#onFenced(owner)
    const found: QueuedMessage[] = []
    for (let index = 0; index + 1 < answer.length; index += 2) {
      const position = Number(answer[index])
      const bytes = answer[index + 1] as Buffer
      const message = readableMessage(bytes, this.#keys.queue(clientId), this.#onBadValue)
      if (message !== undefined) found.push({ position, message })
      // Nobody is to meet it again.
      else this.settle(owner, position, bytes.length)
    }
    return found
  }

  recordSent(owner: Owner, position: number): void {
    this.#writers.of(owner.clientId).receipts.sent(owner, position)
  }

  settle(owner: Owner, position: number, bytes: number): void {
    this.#writers.of(owner.clientId).receipts.settle(owner, position, bytes)
  }

  release(owner: Owner, released: Released, done: (error?: Error) => void): void {
    const { publishes, receipts } = this.#writers.of(owner.clientId)
    const since = publishes.connection
    receipts.release(owner, released, (error) => {
      if (error === undefined && this.#confirms) publishes.confirm(since, done)
      else done(error)
    })
  }

  complete(owner: Owner, packetId: number): void {
    this.#writers.of(owner.clientId).receipts.complete(owner, packetId)
  }

  storeInbound(
    owner: Owner,
    packetId: number,
    message: Message,
    done: (error?: Error) => void,
  ): void {
    const { clientId, epoch } = owner
    const bytes = encodeMessage(message)
    const keys = [this.#keys.session(clientId), this.#keys.inbound(clientId)]
    const words = ['P', epoch, packetId, { message: bytes }, this.#shares.inboundQos2BytesMax]
    const size = { queues: 0, bytes: bytes.length }
    this.#writers.of(clientId).publishes.write([{ keys, words }], size, (error, answer) => {
      const fenced = answer?.[1] === FENCED
      if (fenced) this.#onFenced(owner)
      if (fenced) done(new FencedError(clientId))
      else done(answer?.[1] === INBOUND_FULL ? new InboundFullError() : error)
    })
  }

  async readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    const key = this.#keys.inbound(clientId)
    const found = await this.#control.call(key, 'hget', key, packetId)
    // An empty one was imported: its message took effect before.
    return found === null || (found as Buffer).length === 0
      ? undefined
      : readableMessage(found as Buffer, key, this.#onBadValue)
  }

  deleteInbound(clientId: string, packetId: number, done: (error?: Error) => void): void {
    const keys = [this.#keys.session(clientId), this.#keys.inbound(clientId)]
    const operation = { keys, words: ['D', packetId] }
    const { publishes } = this.#writers.of(clientId)
    publishes.write([operation], { queues: 0, bytes: 0 }, (error) => done(error))
  }

  retainedTopics(): AsyncIterable<readonly string[]> {
    return this.#retained.topics()
  }

  retainedExist(topics: readonly string[]): Promise<readonly boolean[]> {
    return this.#retained.exist(topics)
  }

  readRetained(topics: readonly string[], bytesMax: number): Promise<RetainedRead> {
    return this.#retained.read(topics, bytesMax)
  }

  async counts(): Promise<StoreCounts> {
    const [sessions, retainedBytes] = await Promise.all([
      this.#sessions.count(),
      this.#retained.bytes(),
    ])
    return { sessions, retainedBytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const impatience = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    const finished = Promise.all([this.#writers.settled(), this.#owners.settled()])
    if (this.available) await Promise.race([finished, late])
    clearTimeout(impatience)
    this.#writers.close()
    await this.#connections[Symbol.asyncDispose]()
  }

  /** What a client is told of its session is confirmed like what it publishes. */
  async #confirmed<Result>(clientId: string, operation: () => Promise<Result>): Promise<Result> {
    if (!this.#confirms) return await operation()
    const { publishes } = this.#writers.of(clientId)
    const since = publishes.connection
    const result = await operation()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    publishes.confirm(since, (error) => (error === undefined ? resolve() : reject(error)))
    await promise
    return result
  }

  #refuseFenced(owner: Owner, answer: number): void {
    if (answer !== FENCED) return
    this.#onFenced(owner)
    throw new FencedError(owner.clientId)
  }
}
