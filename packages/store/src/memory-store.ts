import { hasWildcard, topicMatchesFilter, type Message, type QoS } from '@breakwater/bus'
import { MemorySession } from './memory-session.ts'
import {
  FencedError,
  type AppendDone,
  type OnFenced,
  type OpenedSession,
  type Owner,
  type PublishEffects,
  type QueueBounds,
  type QueuedMessage,
  type Released,
  type SessionFilters,
  type Store,
  type StoreCounts,
  type StoredSubscription,
} from './store.ts'

const CHUNK = 1_000

/** The embedded default: everything in this process, gone with it. */
export class MemoryStore implements Store {
  readonly available = true
  readonly #bounds: QueueBounds
  readonly #onFenced: OnFenced
  readonly #sessions = new Map<string, MemorySession>()
  readonly #retained = new Map<string, Message>()
  #epoch = 0

  constructor(bounds: QueueBounds & { readonly onFenced?: OnFenced }) {
    this.#bounds = bounds
    this.#onFenced = bounds.onFenced ?? (() => undefined)
  }

  async openSession(
    clientId: string,
    persistent: boolean,
    user: string,
  ): Promise<OpenedSession | 'another-user'> {
    const before = this.#sessions.get(clientId)
    if (before !== undefined && before.user !== user) return 'another-user'
    this.#epoch += 1
    const stored = persistent ? before : undefined
    if (!persistent) this.#sessions.delete(clientId)
    else if (stored === undefined)
      this.#sessions.set(clientId, new MemorySession(user, this.#epoch))
    else {
      stored.epoch = this.#epoch
      stored.lastSeen = Date.now()
    }
    return {
      present: stored !== undefined,
      epoch: this.#epoch,
      subscriptions: stored === undefined ? [] : subscriptionsOf(stored),
      sentPosition: stored?.sentPosition ?? 0,
      released: stored === undefined ? [] : [...stored.released],
      received: stored === undefined ? [] : [...stored.inbound.keys()],
    }
  }

  async leaveSession({ clientId, epoch }: Owner): Promise<void> {
    if (this.#sessions.get(clientId)?.epoch === epoch) await this.touchSessions([clientId])
  }

  async endSession(clientId: string): Promise<void> {
    this.#sessions.delete(clientId)
  }

  async addSubscriptions(
    owner: Owner,
    subscriptions: readonly StoredSubscription[],
  ): Promise<void> {
    const session = this.#ownedOrThrow(owner)
    for (const { filter, qos } of subscriptions) session?.subscriptions.set(filter, qos)
  }

  async removeSubscriptions(owner: Owner, filters: readonly string[]): Promise<void> {
    const session = this.#ownedOrThrow(owner)
    for (const filter of filters) session?.subscriptions.delete(filter)
  }

  async subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    const session = this.#sessions.get(clientId)
    return session === undefined ? [] : subscriptionsOf(session)
  }

  async *allFilters(): AsyncIterable<readonly SessionFilters[]> {
    let chunk: SessionFilters[] = []
    for (const [clientId, session] of this.#sessions) {
      if (session.subscriptions.size === 0) continue
      chunk.push({ clientId, subscriptions: subscriptionsOf(session) })
      if (chunk.length < CHUNK) continue
      yield chunk
      chunk = []
    }
    if (chunk.length > 0) yield chunk
  }

  async filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    return clientIds.map((clientId) => {
      const session = this.#sessions.get(clientId)
      return { clientId, subscriptions: session === undefined ? [] : subscriptionsOf(session) }
    })
  }

  async touchSessions(clientIds: readonly string[]): Promise<void> {
    const now = Date.now()
    for (const clientId of clientIds) {
      const session = this.#sessions.get(clientId)
      if (session !== undefined) session.lastSeen = now
    }
  }

  async expireSessions(seenBefore: number): Promise<readonly string[]> {
    const expired: string[] = []
    for (const [clientId, session] of this.#sessions)
      if (session.lastSeen < seenBefore) expired.push(clientId)
    for (const clientId of expired) this.#sessions.delete(clientId)
    return expired
  }

  append({ message, queues, replay = false, inbound }: PublishEffects, done: AppendDone): void {
    if (inbound !== undefined) {
      const { inbound: stored } = this.#sessions.get(inbound.clientId) ?? {}
      if (stored?.delete(inbound.packetId) !== true) {
        done(undefined, { positions: queues.map(() => -1), dropped: 0, again: true })
        return
      }
    }
    if (message.retain && !replay) {
      if (message.payload.length === 0) this.#retained.delete(message.topic)
      else this.#retained.set(message.topic, message.detached())
    }
    const appended = replay ? this.#retained.get(message.topic) : message
    const positions: number[] = []
    let dropped = 0
    // One copy for all queues of the same QoS: the payload is a slice of a read buffer until now.
    const copies: (Message | undefined)[] = []
    for (const { clientId, qos } of queues) {
      const session = this.#sessions.get(clientId)
      if (session === undefined || appended === undefined) {
        positions.push(0)
        continue
      }
      const granted = replay ? (Math.max(1, Math.min(appended.qos, qos)) as QoS) : qos
      const copy = (copies[granted] ??= appended.detached(granted, replay))
      const { position, dropped: made } = session.append(copy, this.#bounds)
      positions.push(position)
      dropped += made
    }
    done(undefined, { positions, dropped })
  }

  async readQueue(
    owner: Owner,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    const session = this.#sessions.get(owner.clientId)
    if (session === undefined) return []
    const found = session.read(fromPosition, messagesMax, bytesMax)
    this.recordSent(owner, found.at(-1)?.position ?? 0)
    return found
  }

  recordSent(owner: Owner, position: number): void {
    const session = this.#owned(owner)
    if (session instanceof MemorySession && session.sentPosition < position)
      session.sentPosition = position
  }

  settle(owner: Owner, position: number): void {
    const session = this.#owned(owner)
    if (session instanceof MemorySession) session.delete(position)
  }

  release(owner: Owner, { position, packetId }: Released, done: (error?: Error) => void): void {
    const session = this.#owned(owner)
    if (session instanceof MemorySession) {
      session.delete(position)
      session.released.add(packetId)
    }
    done(session instanceof Error ? session : undefined)
  }

  complete(owner: Owner, packetId: number): void {
    const session = this.#owned(owner)
    if (session instanceof MemorySession) session.released.delete(packetId)
  }

  storeInbound(
    owner: Owner,
    packetId: number,
    message: Message,
    done: (error?: Error) => void,
  ): void {
    const session = this.#owned(owner)
    if (session instanceof MemorySession) session.inbound.set(packetId, message.detached())
    done(session instanceof Error ? session : undefined)
  }

  async readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    return this.#sessions.get(clientId)?.inbound.get(packetId)
  }

  deleteInbound(clientId: string, packetId: number, done: () => void): void {
    this.#sessions.get(clientId)?.inbound.delete(packetId)
    done()
  }

  async *retained(filter: string): AsyncIterable<readonly Message[]> {
    if (!hasWildcard(filter)) {
      const message = this.#retained.get(filter)
      if (message !== undefined) yield [message]
      return
    }
    let chunk: Message[] = []
    for (const [topic, message] of this.#retained) {
      if (!topicMatchesFilter(topic, filter)) continue
      chunk.push(message)
      if (chunk.length < CHUNK) continue
      yield chunk
      chunk = []
    }
    if (chunk.length > 0) yield chunk
  }

  async counts(): Promise<StoreCounts> {
    return { sessions: this.#sessions.size, retained: this.#retained.size }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sessions.clear()
    this.#retained.clear()
  }

  /** Undefined where the session has ended. */
  #owned({ clientId, epoch }: Owner): MemorySession | FencedError | undefined {
    const session = this.#sessions.get(clientId)
    if (session === undefined || session.epoch === epoch) return session
    this.#onFenced(clientId, epoch)
    return new FencedError(clientId)
  }

  #ownedOrThrow(owner: Owner): MemorySession | undefined {
    const session = this.#owned(owner)
    if (session instanceof FencedError) throw session
    return session
  }
}

function subscriptionsOf(session: MemorySession): StoredSubscription[] {
  return [...session.subscriptions].map(([filter, qos]) => ({ filter, qos }))
}
