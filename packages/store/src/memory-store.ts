import { hasWildcard, topicMatchesFilter, type Message, type QoS } from '@breakwater/bus'
import { MemorySession } from './memory-session.ts'
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

const CHUNK = 1_000

/** The embedded default: everything in this process, gone with it. */
export class MemoryStore implements Store {
  readonly available = true
  readonly #bounds: QueueBounds
  readonly #sessions = new Map<string, MemorySession>()
  readonly #retained = new Map<string, Message>()
  #epoch = 0

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds
  }

  async openSession(clientId: string, persistent: boolean): Promise<OpenedSession> {
    this.#epoch += 1
    const stored = persistent ? this.#sessions.get(clientId) : undefined
    if (!persistent) this.#sessions.delete(clientId)
    else if (stored === undefined) this.#sessions.set(clientId, new MemorySession())
    else stored.lastSeen = Date.now()
    return {
      present: stored !== undefined,
      epoch: this.#epoch,
      subscriptions: stored === undefined ? [] : subscriptionsOf(stored),
      sentPosition: stored?.sentPosition ?? 0,
      released: stored === undefined ? [] : [...stored.released],
      received: stored === undefined ? [] : [...stored.inbound.keys()],
    }
  }

  async leaveSession(clientId: string): Promise<void> {
    await this.touchSessions([clientId])
  }

  async endSession(clientId: string): Promise<void> {
    this.#sessions.delete(clientId)
  }

  async addSubscriptions(
    clientId: string,
    subscriptions: readonly StoredSubscription[],
  ): Promise<void> {
    const session = this.#sessions.get(clientId)
    for (const { filter, qos } of subscriptions) session?.subscriptions.set(filter, qos)
  }

  async removeSubscriptions(clientId: string, filters: readonly string[]): Promise<void> {
    const session = this.#sessions.get(clientId)
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

  append({ message, queues, replay = false }: PublishEffects, done: AppendDone): void {
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
    clientId: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]> {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return []
    const found = session.read(fromPosition, messagesMax, bytesMax)
    const last = found.at(-1)
    if (last !== undefined) this.recordSent(clientId, last.position)
    return found
  }

  recordSent(clientId: string, position: number): void {
    const session = this.#sessions.get(clientId)
    if (session !== undefined && session.sentPosition < position) session.sentPosition = position
  }

  settle(clientId: string, position: number): void {
    this.#sessions.get(clientId)?.delete(position)
  }

  release(
    clientId: string,
    position: number,
    packetId: number,
    done: (error?: Error) => void,
  ): void {
    const session = this.#sessions.get(clientId)
    session?.delete(position)
    session?.released.add(packetId)
    done()
  }

  complete(clientId: string, packetId: number): void {
    this.#sessions.get(clientId)?.released.delete(packetId)
  }

  storeInbound(clientId: string, packetId: number, message: Message, done: () => void): void {
    this.#sessions.get(clientId)?.inbound.set(packetId, message.detached())
    done()
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
}

function subscriptionsOf(session: MemorySession): StoredSubscription[] {
  return [...session.subscriptions].map(([filter, qos]) => ({ filter, qos }))
}
