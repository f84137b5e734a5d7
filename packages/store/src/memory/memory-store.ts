import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { MemoryOwners } from './memory-owners.ts'
import { MemoryRetained } from './memory-retained.ts'
import { MemoryRevocations } from './memory-revocations.ts'
import { MemorySession } from './memory-session.ts'
import { MemorySessions } from './memory-sessions.ts'
import { MemoryShared } from './memory-shared.ts'
import {
  InboundFullError,
  RetainedFullError,
  UNBOUNDED,
  type ShareBounds,
} from '../share-bounds.ts'
import {
  FencedError,
  QueueFullError,
  type AdoptedClient,
  type AppendDone,
  type Claimed,
  type ClaimRefusal,
  type ClientClaim,
  type Appended,
  type HeldClient,
  type OnFenced,
  type OpenedSession,
  type Owner,
  type PublishEffects,
  type QueueAppend,
  type QueuedMessage,
  type Released,
  type RetainedRead,
  type ChangedFilters,
  type SessionFilters,
  type SessionTerms,
  type Store,
  type StoreBounds,
  type StoreCounts,
  type StoredFacts,
  type StoredSubscription,
} from '../store.ts'

const CHUNK = 1_000
const NOTHING: Appended = { positions: [], dropped: 0, retainedChanged: false }

/** The embedded default: everything in this process, gone with it. */
export class MemoryStore implements Store {
  readonly available = true
  readonly shared: MemoryShared
  readonly revocations: MemoryRevocations = new MemoryRevocations()
  readonly #bounds: StoreBounds
  readonly #shares: ShareBounds
  readonly #onFenced: OnFenced
  readonly #sessions: MemorySessions
  readonly #owners = new MemoryOwners()
  readonly #retained: MemoryRetained

  constructor(bounds: StoreBounds & { readonly onFenced?: OnFenced }) {
    this.#bounds = bounds
    this.#shares = { ...UNBOUNDED, ...bounds.shares }
    this.shared = new MemoryShared(bounds, this.#shares)
    this.#sessions = new MemorySessions(this.#shares)
    this.#retained = new MemoryRetained(this.#shares)
    this.#onFenced = bounds.onFenced ?? (() => undefined)
  }

  async claimClient(claim: ClientClaim): Promise<Claimed | ClaimRefusal> {
    const { clientId, user } = claim
    // Without a session a client holds its client id against those who are nobody alone.
    const connected = user === '' ? this.#owners.userOf(clientId) : undefined
    const holder = this.#sessions.get(clientId)?.user ?? connected ?? user
    if (holder !== user) return 'another-user'
    if (!this.#sessions.hasRoomFor(clientId, claim)) return 'sessions-full'
    const claimed = this.#owners.claim(claim)
    if (claimed.former !== undefined) return claimed
    return { ...claimed, opened: this.#open({ clientId, epoch: claimed.epoch }, claim) }
  }

  async openSession(
    owner: Owner,
    terms: SessionTerms,
  ): Promise<OpenedSession | 'taken-over' | ClaimRefusal> {
    if (!this.#owners.owns(owner)) return 'taken-over'
    const { clientId } = owner
    if ((this.#sessions.get(clientId)?.user ?? terms.user) !== terms.user) return 'another-user'
    if (!this.#sessions.hasRoomFor(clientId, terms)) {
      this.#owners.leave(owner)
      return 'sessions-full'
    }
    return this.#open(owner, terms)
  }

  async leaveClient(owner: Owner): Promise<void> {
    if (this.#owners.leave(owner)) await this.touchSessions([owner.clientId])
  }

  async replacedOwners(owners: readonly Owner[]): Promise<readonly Owner[]> {
    return this.#owners.replaced(owners)
  }

  async restoreOwners(clients: readonly HeldClient[]): Promise<readonly Owner[]> {
    return clients.flatMap((client) => {
      const { clientId, epoch } = client
      const later = this.#sessions.get(clientId)?.epoch ?? 0
      if (later > epoch && !this.#owners.has(clientId)) return [{ clientId, epoch: later }]
      this.#owners.restore(client)
      return this.#owners.replaced([client])
    })
  }

  async *adoptClients(
    departedNodeId: string | undefined,
    byNodeId: string,
  ): AsyncIterable<readonly AdoptedClient[]> {
    yield* this.#owners.adopt(departedNodeId, byNodeId)
  }

  async sessionFacts(clientId: string): Promise<StoredFacts | undefined> {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return undefined
    return {
      user: session.user,
      nodeId: this.#owners.nodeOf(clientId),
      seenMs: session.lastSeen,
      filters: session.subscriptions.size,
      queuedMessages: session.queued,
      queuedBytes: session.queuedBytes,
    }
  }

  async endSession(clientId: string): Promise<void> {
    if (!this.#owners.has(clientId)) this.#sessions.delete(clientId)
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
    for (const [clientId, session] of this.#sessions.all) {
      if (session.subscriptions.size === 0) continue
      chunk.push({ clientId, subscriptions: subscriptionsOf(session) })
      if (chunk.length < CHUNK) continue
      yield chunk
      chunk = []
    }
    if (chunk.length > 0) yield chunk
  }

  async lostSessions(): Promise<readonly string[]> {
    return []
  }

  async filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]> {
    return clientIds.map((clientId) => {
      const session = this.#sessions.get(clientId)
      return { clientId, subscriptions: session === undefined ? [] : subscriptionsOf(session) }
    })
  }

  async filtersAmong(changed: readonly ChangedFilters[]): Promise<readonly SessionFilters[]> {
    return changed.map(({ clientId, filters }) => {
      const held = this.#sessions.get(clientId)?.subscriptions
      const subscriptions = filters.flatMap((filter) => {
        const qos = held?.get(filter)
        return qos === undefined ? [] : [{ filter, qos }]
      })
      return { clientId, subscriptions }
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
    for (const [clientId, session] of this.#sessions.all)
      if (session.lastSeen < seenBefore && !this.#owners.has(clientId)) expired.push(clientId)
    for (const clientId of expired) this.#sessions.delete(clientId)
    return expired
  }

  append(effects: PublishEffects, done: AppendDone): void {
    const { message, queues, shared, replay = false, inbound, account } = effects
    const why = replay ? undefined : this.#refusal(effects)
    if (why !== undefined) {
      done(why, NOTHING)
      return
    }
    if (inbound !== undefined) {
      const stored = this.#sessions.get(inbound.clientId)
      if (stored?.forgetInbound(inbound.packetId) !== true) {
        const positions = queues.map(() => -1)
        done(undefined, { positions, dropped: 0, retainedChanged: false, again: true })
        return
      }
    }
    const retainedChanged = message.retain && !replay && this.#retained.retain(message, account)
    const appended = replay ? this.#retained.get(message.topic) : message
    const positions: number[] = []
    const epochs: number[] = []
    let dropped = 0
    // One copy for all queues of the same QoS: the payload is a slice of a read buffer until now.
    const copies: (Message | undefined)[] = []
    for (const { clientId, qos } of queues) {
      const session = this.#sessions.get(clientId)
      epochs.push(session?.epoch ?? 0)
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
    const sharedPositions = shared?.map((append) => {
      const copy = (copies[append.qos] ??= message.detached(append.qos, false))
      const { position, dropped: made } = this.shared.append(append, copy)
      dropped += made
      return position
    })
    done(undefined, {
      positions,
      ...(queues.length === 0 ? {} : { epochs }),
      ...(sharedPositions === undefined ? {} : { shared: sharedPositions }),
      dropped,
      retainedChanged,
    })
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
    const { inboundQos2BytesMax } = this.#shares
    if (session instanceof Error) done(session)
    else if (session?.keepInbound(packetId, message.detached(), inboundQos2BytesMax) === false)
      done(new InboundFullError())
    else done()
  }

  async readInbound(clientId: string, packetId: number): Promise<Message | undefined> {
    return this.#sessions.get(clientId)?.inbound.get(packetId)
  }

  deleteInbound(clientId: string, packetId: number, done: () => void): void {
    this.#sessions.get(clientId)?.forgetInbound(packetId)
    done()
  }

  async *retainedTopics(): AsyncIterable<readonly string[]> {
    const topics = this.#retained.topics()
    if (topics.length > 0) yield topics
  }

  async retainedExist(topics: readonly string[]): Promise<readonly boolean[]> {
    return topics.map((topic) => this.#retained.has(topic))
  }

  async readRetained(topics: readonly string[], bytesMax: number): Promise<RetainedRead> {
    return this.#retained.read(topics, bytesMax)
  }

  async counts(): Promise<StoreCounts> {
    return { sessions: this.#sessions.size, retainedBytes: this.#retained.bytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#owners.clear()
    this.#sessions.clear()
    this.#retained.clear()
    this.shared.clear()
  }

  #open({ clientId, epoch }: Owner, { persistent, user, account }: SessionTerms): OpenedSession {
    const stored = persistent ? this.#sessions.get(clientId) : undefined
    if (!persistent) this.#sessions.delete(clientId)
    else if (stored === undefined)
      this.#sessions.make(clientId, new MemorySession(user, epoch), account)
    else {
      stored.epoch = epoch
      stored.lastSeen = Date.now()
    }
    return {
      present: stored !== undefined,
      epoch,
      subscriptions: stored === undefined ? [] : subscriptionsOf(stored),
      sentPosition: stored?.sentPosition ?? 0,
      released: stored === undefined ? [] : [...stored.released],
      received: stored === undefined ? [] : [...stored.inbound.keys()],
    }
  }

  #refusal({ message, queues, shared = [], account }: PublishEffects): Error | undefined {
    if (message.retain && this.#retained.refuses(message, account)) return new RetainedFullError()
    if (this.#bounds.queuePolicy !== 'close-publisher') return undefined
    const isFull = ({ clientId }: QueueAppend): boolean =>
      this.#sessions.get(clientId)?.fullFor(message, this.#bounds) === true
    const isRefused =
      queues.some(isFull) || shared.some(({ filter }) => this.shared.isFull(filter, message))
    return isRefused ? new QueueFullError() : undefined
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
