import { randomUUID } from 'node:crypto'
import type { Message } from '@breakwater/bus'
import { queuedBytes } from '../store.ts'
import type {
  AppendDone,
  OpenedSession,
  Owner,
  PublishEffects,
  QueuedMessage,
  RetainedRead,
  ChangedFilters,
  SessionFilters,
  Store,
  StoreCounts,
  StoredFacts,
  StoredSubscription,
} from '../store.ts'

/** Of every session that a test opens. */
const USER = 'user'

/**
 * A store for tests that are not about ownership: it writes as the owner that opened the session last, at any
 * of the stores that share `epochs`, and knows the bytes of what was appended.
 */
export class OwnedStore implements AsyncDisposable {
  readonly store: Store
  readonly nodeId: string = randomUUID()
  readonly #epochs: Map<string, number>
  readonly #bytes = new Map<string, number>()

  constructor(store: Store, epochs: Map<string, number> = new Map()) {
    this.store = store
    this.#epochs = epochs
  }

  get available(): boolean {
    return this.store.available
  }

  owner(clientId: string): Owner {
    return { clientId, epoch: this.#epochs.get(clientId) ?? 0 }
  }

  /** In the hands of the node that this store is of. */
  async openSession(clientId: string, persistent: boolean, will?: Message): Promise<OpenedSession> {
    const terms = { persistent, user: USER }
    const claimed = await this.store.claimClient({
      clientId,
      nodeId: this.nodeId,
      ...terms,
      ...(will === undefined ? {} : { will }),
    })
    if (typeof claimed === 'string') throw new Error(`${clientId}: ${claimed}`)
    const { epoch } = claimed
    this.#epochs.set(clientId, Math.max(epoch, this.#epochs.get(clientId) ?? 0))
    const opened = claimed.opened ?? (await this.store.openSession({ clientId, epoch }, terms))
    if (typeof opened === 'string') throw new Error(`${clientId}: ${opened}`)
    return opened
  }

  leaveClient(clientId: string): Promise<void> {
    return this.store.leaveClient(this.owner(clientId))
  }

  sessionFacts(clientId: string): Promise<StoredFacts | undefined> {
    return this.store.sessionFacts(clientId)
  }

  /** The client leaves it first. */
  async endSession(clientId: string): Promise<void> {
    await this.leaveClient(clientId)
    await this.store.endSession(clientId)
  }

  addSubscriptions(clientId: string, added: readonly StoredSubscription[]): Promise<void> {
    return this.store.addSubscriptions(this.owner(clientId), added)
  }

  removeSubscriptions(clientId: string, filters: readonly string[]): Promise<void> {
    return this.store.removeSubscriptions(this.owner(clientId), filters)
  }

  subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    return this.store.subscriptions(clientId)
  }

  allFilters(): AsyncIterable<readonly SessionFilters[]> {
    return this.store.allFilters()
  }

  filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    return this.store.filtersOf(clientIds)
  }

  filtersAmong(changed: readonly ChangedFilters[]): Promise<readonly SessionFilters[]> {
    return this.store.filtersAmong(changed)
  }

  touchSessions(clientIds: readonly string[]): Promise<void> {
    return this.store.touchSessions(clientIds)
  }

  expireSessions(seenBefore: number): Promise<readonly string[]> {
    return this.store.expireSessions(seenBefore)
  }

  append(effects: PublishEffects, done: AppendDone): void {
    this.store.append(effects, (error, appended) => {
      for (const [index, { clientId }] of effects.queues.entries())
        this.#bytes.set(`${clientId} ${appended.positions[index]}`, queuedBytes(effects.message))
      done(error, appended)
    })
  }

  readQueue(
    clientId: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    return this.store.readQueue(this.owner(clientId), fromPosition, messagesMax, bytesMax)
  }

  recordSent(clientId: string, position: number): void {
    this.store.recordSent(this.owner(clientId), position)
  }

  settle(clientId: string, position: number): void {
    this.store.settle(this.owner(clientId), position, this.#bytesOf(clientId, position))
  }

  release(
    clientId: string,
    position: number,
    packetId: number,
    done: (error?: Error) => void,
  ): void {
    const bytes = this.#bytesOf(clientId, position)
    this.store.release(this.owner(clientId), { position, packetId, bytes }, done)
  }

  complete(clientId: string, packetId: number): void {
    this.store.complete(this.owner(clientId), packetId)
  }

  storeInbound(
    clientId: string,
    packetId: number,
    message: Message,
    done: (error?: Error) => void,
  ): void {
    this.store.storeInbound(this.owner(clientId), packetId, message, done)
  }

  readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    return this.store.readInbound(clientId, packetId)
  }

  deleteInbound(clientId: string, packetId: number, done: (error?: Error) => void): void {
    this.store.deleteInbound(clientId, packetId, done)
  }

  retainedTopics(): AsyncIterable<readonly string[]> {
    return this.store.retainedTopics()
  }

  retainedExist(topics: readonly string[]): Promise<readonly boolean[]> {
    return this.store.retainedExist(topics)
  }

  readRetained(topics: readonly string[], bytesMax: number): Promise<RetainedRead> {
    return this.store.readRetained(topics, bytesMax)
  }

  counts(): Promise<StoreCounts> {
    return this.store.counts()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]()
  }

  #bytesOf(clientId: string, position: number): number {
    return this.#bytes.get(`${clientId} ${position}`) ?? 0
  }
}
