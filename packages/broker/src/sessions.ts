/**
 * What the node does when the control plane says so: opens and ends sessions, programs the tables, tells the
 * other nodes. Composition, like node.ts: it knows the stages, they do not know each other.
 */
import { isServerTopic, isSharedFilter, Message, type Bus, type Notice } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import {
  SHARED_PACKET_ID_MIN,
  type OpenedSession,
  type Store,
  type StoredSubscription,
} from '@breakwater/store'
import type { Authenticate } from './auth/authenticate.ts'
import { refusalOf, shapeOf } from './auth/subscription-rules.ts'
import type { CloseReasonId } from './close-reason.ts'
import type { Connection } from './connection/connection.ts'
import type { ClientControl, ControlHost, PendingSession } from './control/client-control.ts'
import { CleanOutbound } from './deliver/clean-outbound.ts'
import { FanOut } from './deliver/fan-out.ts'
import { FrameSink } from './deliver/frame-sink.ts'
import type { Outbound } from './deliver/outbound.ts'
import { StoredOutbound } from './deliver/stored-outbound.ts'
import type { ConnectionFacts, Events } from './events.ts'
import { PublishLane } from './route/publish.ts'
import { replayRetained } from './route/retained-replay.ts'
import type { Router } from './route/router.ts'
import { Ownership, type Owner } from './session/ownership.ts'
import { Session } from './session/session.ts'

/** Stands for messages that another node may have put into a queue and told of in vain. */
const UNSEEN = new FanOut(new Message('', Buffer.alloc(0), 1, false))

/** A client that comes back soon finds its routes in force. */
const ROUTE_LINGER_MS = 1_000

export interface SessionsOptions {
  readonly config: Config
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
  readonly router: Router
  readonly events: Events
  readonly authenticate: Authenticate
  /** Tells the control plane what the store said of a client. */
  readonly opened: (clientId: string, opened: OpenedSession) => void
}

export class Sessions implements ControlHost {
  readonly #options: SessionsOptions
  readonly #ownership: Ownership
  /** Filters that may have lost their last subscriber here. */
  readonly #idleRoutes = new Set<string>()
  #idleTimer: NodeJS.Timeout | undefined

  constructor(options: SessionsOptions) {
    this.#options = options
    const { store, bus, config } = options
    const { takeOverTimeoutMs, storeTimeoutMs, connectTimeoutMs } = config.limits
    // A client is refused before the deadline of its CONNECT would end it without an answer.
    const openTimeoutMs = Math.min(storeTimeoutMs, connectTimeoutMs * 0.8)
    this.#ownership = new Ownership({ store, bus, takeOverTimeoutMs, openTimeoutMs })
  }

  authenticate(
    _connection: Connection,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<CloseReasonId | undefined> {
    return this.#options.authenticate({ username, password })
  }

  async openSession(client: ClientControl): Promise<PendingSession | undefined> {
    const { clientId, connection, clean, ended, user } = client
    const persistent = !clean
    const claim = await this.#ownership.claim(clientId, connection, persistent, ended, user)
    if (claim === 'another-user') {
      connection.close('client-id-rejected', 'it belongs to another user')
      return undefined
    }
    if (claim === undefined) return undefined
    const { opened, owner } = claim
    this.#options.opened(clientId, opened)
    if (!persistent) this.#forgetStored(clientId)
    return {
      present: opened.present,
      start: () => this.#start(connection, persistent, opened, owner),
    }
  }

  refusal(
    session: Session,
    filter: string,
    granted: readonly StoredSubscription[],
  ): string | undefined {
    const added = {
      filters: new Set(granted.map((subscription) => subscription.filter)),
      shapes: new Set(
        granted.flatMap((subscription) => {
          const shape = shapeOf(subscription.filter)
          return shape === undefined || session.shapes?.has(shape) === true ? [] : [shape]
        }),
      ),
    }
    const why = refusalOf(filter, session, added, this.#options.config.limits)
    if (why !== undefined)
      this.#options.events.subscriptionRefused(factsOf(session.connection), filter, why)
    return why
  }

  async subscribed(session: Session, granted: readonly StoredSubscription[]): Promise<() => void> {
    const { router, store, cluster } = this.#options
    // In the store before anybody is told to look there.
    if (session.persistent) await store.addSubscriptions(session, granted)
    const live = session.beginReplay()
    const filters = granted.map(({ filter }) => filter)
    // A connection that has ended meanwhile is in no table any more.
    const joined = session.connection.open ? this.#program(session, granted) : undefined
    if (session.persistent)
      for (const { filter, qos } of granted) router.stored.set(session.clientId, filter, qos)
    await joined
    await cluster.announce({
      added: filters,
      sessions: session.persistent && granted.length > 0 ? [session.clientId] : [],
    })
    router.shared.membership.look(filters)
    const replayed = granted.filter(({ filter }) => !isSharedFilter(filter))
    return () => this.#replay(session, replayed, live)
  }

  async unsubscribed(session: Session, filters: readonly string[]): Promise<void> {
    const { store, cluster } = this.#options
    if (session.persistent) await store.removeSubscriptions(session, filters)
    for (const filter of filters) {
      this.#unprogram(session, filter)
      this.#options.router.stored.delete(session.clientId, filter)
      if (session.persistent && isSharedFilter(filter))
        await this.#options.router.shared.membership.leaveStored(filter, session.clientId)
    }
    if (session.persistent) await cluster.announce({ sessions: [session.clientId] })
  }

  #replay(session: Session, subscriptions: readonly StoredSubscription[], live: Set<string>): void {
    const { store, events, config } = this.#options
    const messagesMax = config.limits.retainedReplayMessagesMax
    // One after the other, in the order of the SUBACKs.
    session.replays = (session.replays ?? Promise.resolve())
      .then(() => replayRetained(session, subscriptions, live, { store, events, messagesMax }))
      .catch((error: Error) => {
        // A subscriber that was promised retained messages and cannot have them is told by the close.
        events.storeFailed('retained messages', error)
        session.connection.close('store-unavailable', error.message)
      })
      .finally(() => session.endReplay(live))
  }

  publishWill(message: Message, clientId: string, done: (error?: Error) => void): void {
    const { router, events } = this.#options
    if (isServerTopic(message.topic)) {
      events.dropped('denied', message.qos)
      done()
      return
    }
    router.publish(message, clientId, (error) => {
      if (error !== undefined) events.storeFailed(`will of ${clientId}`, error)
      done()
    })
  }

  unexpected(what: string, error: unknown): void {
    this.#options.events.unexpected(what, error)
  }

  /** The connection has ended. */
  end({ session, clientId, connection }: ClientControl): void {
    this.#ownership.release(clientId, connection)
    if (session === undefined) return
    const { router, store, events } = this.#options
    for (const filter of session.filters.keys()) this.#unroute(session, filter)
    if (router.sessions.get(clientId) === session) router.sessions.delete(clientId)
    session.outbound.close()
    session.shared?.close()
    session.lane.close()
    if (session.persistent)
      store.leaveSession(session).catch((error: Error) => events.storeFailed('session', error))
  }

  /** What other nodes say. */
  notice(notice: Notice): void {
    void this.#ownership.lost(notice.clientId, notice.epoch)
  }

  /** Something may have been missed: who owns a client id now, and what has come into a queue. */
  async resync(): Promise<void> {
    this.#readQueues()
    this.#options.router.shared.membership.resync()
    await this.#ownership.resync()
  }

  /** The store has refused a write of an owner that has been replaced. */
  fenced(clientId: string, epoch: number): void {
    const session = this.#options.router.sessions.get(clientId)
    if (session?.epoch === epoch) session.connection.close('taken-over')
  }

  /** Messages of other nodes to this one were lost: who was promised them is told by the close. */
  missed(reason: 'lease-lost' | 'bus-overflow', detail?: string): void {
    for (const { persistent, filters, connection } of this.#options.router.sessions.values())
      if (!persistent && [...filters].some(([filter, qos]) => qos > 0 && !isSharedFilter(filter)))
        connection.close(reason, detail)
    this.#readQueues()
    const { membership } = this.#options.router.shared
    if (reason === 'lease-lost') membership.revive()
    else membership.resync()
  }

  #readQueues(): void {
    for (const { persistent, outbound } of this.#options.router.sessions.values())
      if (persistent) outbound.queued(0, UNSEEN, 1)
  }

  /** A stored session has expired. */
  async expired(clientIds: readonly string[]): Promise<void> {
    for (const clientId of clientIds) this.#clearStored(clientId)
    await this.#options.cluster.announce({ sessions: clientIds })
  }

  #start(
    connection: Connection,
    persistent: boolean,
    opened: OpenedSession,
    owner: Owner,
  ): Session {
    const { config, store, router, events } = this.#options
    const { clientId } = connection
    const { limits } = config
    const sink = new FrameSink(connection, events)
    const outbound: Outbound = persistent
      ? new StoredOutbound({
          clientId,
          opened,
          inflightMessagesMax: limits.inflightMessagesMax,
          store,
          sink,
          onFault: (error) => {
            events.storeFailed(`queue of ${clientId}`, error)
            connection.close('store-unavailable', error.message)
          },
        })
      : new CleanOutbound(sink, limits)
    const lane = new PublishLane({
      clientId,
      epoch: opened.epoch,
      persistent,
      received: opened.received,
      connection,
      sink,
      router,
      store,
      events,
      limits,
    })
    owner.drained = () => lane.drained()
    const session = new Session({
      clientId,
      connection,
      persistent,
      epoch: opened.epoch,
      sink,
      outbound,
      lane,
    })
    router.sessions.set(clientId, session)
    if (opened.released.some((packetId) => packetId >= SHARED_PACKET_ID_MIN))
      router.shared.serve(session, opened.released)
    const joined = this.#program(session, opened.subscriptions)
    this.#routeResumed(session, joined)
    connection.onWritable = () => {
      outbound.writable()
      session.shared?.writable()
    }
    outbound.writable()
    events.connackSent(0)
    const kind = persistent ? (opened.present ? 'resumed' : 'new') : 'clean'
    events.clientConnected(factsOf(connection), kind)
    return session
  }

  /** Resolves when it is a member of its shared subscriptions. */
  async #program(session: Session, granted: readonly StoredSubscription[]): Promise<void> {
    const { router } = this.#options
    const joined: Promise<void>[] = []
    for (const { filter, qos } of granted) {
      this.#countShape(session, filter)
      session.filters.set(filter, qos)
      if (!isSharedFilter(filter)) router.live.set(filter, session, qos)
      else joined.push(router.shared.add(session, filter, qos))
    }
    if (joined.length > 0) await Promise.all(joined)
  }

  #countShape(session: Session, filter: string): void {
    const shape = session.filters.has(filter) ? undefined : shapeOf(filter)
    if (shape === undefined) return
    session.shapes ??= new Map()
    session.shapes.set(shape, (session.shapes.get(shape) ?? 0) + 1)
  }

  #unprogram(session: Session, filter: string): void {
    if (!session.filters.delete(filter)) return
    this.#unroute(session, filter)
    const shape = shapeOf(filter)
    if (shape === undefined || session.shapes === undefined) return
    const others = (session.shapes.get(shape) ?? 1) - 1
    if (others === 0) session.shapes.delete(shape)
    else session.shapes.set(shape, others)
  }

  /**
   * Until the others know that a resumed session is here, they put messages into its queue without a word:
   * then it is read once more.
   */
  #routeResumed(session: Session, joined: Promise<void>): void {
    const { cluster, events, router } = this.#options
    if (session.filters.size === 0) return
    const added = [...session.filters.keys()]
    Promise.all([cluster.announce({ added }), joined]).then(
      () => {
        router.shared.membership.look(added.filter(isSharedFilter))
        if (session.persistent && session.connection.open) session.outbound.queued(0, UNSEEN, 1)
      },
      (error: Error) => {
        events.storeFailed(`routes of ${session.clientId}`, error)
        session.connection.close('store-unavailable', error.message)
      },
    )
  }

  #unroute(session: Session, filter: string): void {
    const { router, cluster } = this.#options
    if (isSharedFilter(filter)) {
      // At once: the others would go on to choose this node.
      if (router.shared.remove(session, filter)) cluster.withdraw([filter])
      return
    }
    router.live.delete(filter, session)
    this.#idleRoutes.add(filter)
    if (this.#idleTimer !== undefined) return
    this.#idleTimer = setTimeout(() => this.#withdrawIdle(), ROUTE_LINGER_MS).unref()
  }

  #withdrawIdle(): void {
    const { router, cluster } = this.#options
    this.#idleTimer = undefined
    cluster.withdraw([...this.#idleRoutes].filter((filter) => !router.live.has(filter)))
    this.#idleRoutes.clear()
  }

  #clearStored(clientId: string): void {
    const { router, events } = this.#options
    for (const filter of router.stored.sharedFilters(clientId))
      router.shared.membership
        .leaveStored(filter, clientId)
        .catch((error: Error) => events.storeFailed(`members of ${filter}`, error))
    router.stored.clear(clientId)
  }

  /** A stored session has ended: nothing is queued for it any more, here and at other nodes. */
  #forgetStored(clientId: string): void {
    const { router, cluster, events } = this.#options
    if (!router.stored.has(clientId)) return
    this.#clearStored(clientId)
    cluster
      .announce({ sessions: [clientId] })
      .catch((error: Error) => events.storeFailed(`end of the session of ${clientId}`, error))
  }
}

export function factsOf(connection: Connection): ConnectionFacts {
  const { id, listener, peer, clientId } = connection
  return { id, listener, peer, clientId }
}
