/**
 * What the node does when the control plane says so: opens and ends sessions, programs the tables, tells the
 * other nodes. Composition, like node.ts: it knows the stages, they do not know each other.
 */
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises'
import { Message, type Bus, type Notice } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import type { OpenedSession, Store, StoredSubscription } from '@breakwater/store'
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
import type { End } from './session/contender.ts'
import { Ownership } from './session/ownership.ts'
import { Session } from './session/session.ts'
import { Wills } from './session/wills.ts'

/** Stands for messages that another node may have put into a queue and told of in vain. */
const UNSEEN = new FanOut(new Message('', Buffer.alloc(0), 1, false))

/** What is under way when the node stops has so long. */
const STOP_TIMEOUT_MS = 1_000

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
}

export class Sessions implements ControlHost {
  readonly #options: SessionsOptions
  readonly #wills: Wills
  readonly #ownership: Ownership
  /** Filters that may have lost their last subscriber here. */
  readonly #idleRoutes = new Set<string>()
  #idleTimer: NodeJS.Timeout | undefined

  constructor(options: SessionsOptions) {
    this.#options = options
    const { store, bus, router, events, config } = options
    const { takeOverTimeoutMs, storeTimeoutMs, connectTimeoutMs } = config.limits
    // A client is refused before the deadline of its CONNECT would end it without an answer.
    const openTimeoutMs = Math.min(storeTimeoutMs, connectTimeoutMs * 0.8)
    this.#wills = new Wills({
      store,
      router,
      events,
      clustered: bus.clustered,
      windowMs: config.limits.willTakeOverWindowMs,
    })
    this.#ownership = new Ownership({
      store,
      bus,
      lastWords: this.#wills,
      takeOverTimeoutMs,
      openTimeoutMs,
      onFault: (what, error) => events.storeFailed(what, error),
    })
  }

  authenticate(
    _connection: Connection,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<CloseReasonId | undefined> {
    return this.#options.authenticate({ username, password })
  }

  async openSession(client: ClientControl): Promise<PendingSession | undefined> {
    const { clientId, connection, persistent } = client
    if (!connection.open) return undefined
    const opened = await this.#ownership.claim(client)
    if (opened === 'another-user') {
      connection.close('client-id-rejected', 'it belongs to another user')
      return undefined
    }
    if (opened === undefined) return undefined
    if (!persistent) this.#forgetStored(clientId)
    if (!connection.open) return undefined
    return {
      present: opened.present,
      subscriptions: opened.subscriptions,
      start: () => this.#start(connection, persistent, opened),
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
    for (const { filter, qos } of granted) {
      this.#program(session, filter, qos)
      if (session.persistent) router.stored.set(session.clientId, filter, qos)
    }
    await cluster.announce({
      added: granted.map(({ filter }) => filter),
      sessions: session.persistent && granted.length > 0 ? [session.clientId] : [],
    })
    return () => this.#replay(session, granted, live)
  }

  async unsubscribed(session: Session, filters: readonly string[]): Promise<void> {
    const { store, cluster } = this.#options
    if (session.persistent) await store.removeSubscriptions(session, filters)
    for (const filter of filters) {
      this.#unprogram(session, filter)
      this.#options.router.stored.delete(session.clientId, filter)
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

  unexpected(what: string, error: unknown): void {
    this.#options.events.unexpected(what, error)
  }

  /** The connection has ended. */
  end(client: ClientControl, reason: CloseReasonId): void {
    const { session, clientId } = client
    const how = this.#endOf(client, reason)
    void client.ended.then(() => this.#ownership.ended(client, how))
    if (session === undefined) return
    const { router } = this.#options
    for (const filter of session.filters.keys()) this.#unroute(session, filter)
    if (router.sessions.get(clientId) === session) router.sessions.delete(clientId)
    session.outbound.close()
    session.lane.close()
  }

  /** Whether a will is due [MQTT-3.1.2-8], [MQTT-3.14.4-3], and who has to see to that. */
  #endOf({ session, will }: ClientControl, reason: CloseReasonId): End {
    // Where CONNACK was not sent there was no connection that could be lost.
    if (session === undefined || will === undefined || reason === 'disconnected') return 'left'
    return reason === 'shutting-down' && this.#options.bus.clustered ? 'kept' : 'lost'
  }

  /** A node is gone: the wills of its clients that are not back are published. */
  async adopt(departedNodeId: string): Promise<void> {
    const { store, bus, events } = this.#options
    let wills = 0
    for await (const clients of store.adoptClients(departedNodeId, bus.nodeId)) {
      await this.#ownership.adopt(clients)
      wills += clients.length
    }
    events.clientsAdopted(departedNodeId, wills)
  }

  /**
   * The node stops, its connections are closed: resolves when the store knows what it is to know. Wills of
   * clients that the stop has closed are left to other nodes, so that a client that goes to one of them has none.
   */
  async stop(): Promise<void> {
    const { store, bus, cluster, config } = this.#options
    // The ends of the connections that were closed last have arrived by then.
    await immediate()
    this.#ownership.stop(bus.clustered ? 'kept' : 'due')
    const timeout = new AbortController()
    // Where Redis does not answer there is nothing to wait for.
    if (store.available && cluster.confirmed)
      await Promise.race([
        this.#ownership.settled(),
        delay(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => undefined),
      ])
    timeout.abort()
    this.#wills[Symbol.dispose]()
    if (this.#ownership.leavesBehind) cluster.leaveBehind(config.limits.willDrainWindowMs)
  }

  /** What other nodes say. */
  notice(from: string, notice: Notice): void {
    this.#ownership.notice(from, notice)
  }

  /** Something may have been missed: who owns a client id now, and what has come into a queue. */
  async resync(): Promise<void> {
    this.#readQueues()
    await this.#ownership.resync()
  }

  /** The store may know nothing of who is connected here. */
  restore(): Promise<void> {
    return this.#ownership.restore()
  }

  /** The store has refused a write of an owner that has been replaced. */
  fenced(clientId: string, epoch: number): void {
    this.#ownership.fenced({ clientId, epoch })
  }

  /** Messages of other nodes to this one were lost: who was promised them is told by the close. */
  missed(reason: 'lease-lost' | 'bus-overflow', detail?: string): void {
    for (const { persistent, filters, connection } of this.#options.router.sessions.values())
      if (!persistent && [...filters.values()].some((qos) => qos > 0))
        connection.close(reason, detail)
    this.#readQueues()
  }

  #readQueues(): void {
    for (const { persistent, outbound } of this.#options.router.sessions.values())
      if (persistent) outbound.queued(0, UNSEEN, 1)
  }

  /** A stored session has expired. */
  async expired(clientIds: readonly string[]): Promise<void> {
    for (const clientId of clientIds) this.#options.router.stored.clear(clientId)
    await this.#options.cluster.announce({ sessions: clientIds })
  }

  #start(connection: Connection, persistent: boolean, opened: OpenedSession): Session {
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
    for (const { filter, qos } of opened.subscriptions) this.#program(session, filter, qos)
    this.#routeResumed(session)
    connection.onWritable = () => outbound.writable()
    outbound.writable()
    events.connackSent(0)
    const kind = persistent ? (opened.present ? 'resumed' : 'new') : 'clean'
    events.clientConnected(factsOf(connection), kind)
    return session
  }

  #program(session: Session, filter: string, qos: 0 | 1 | 2): void {
    if (!session.filters.has(filter)) {
      const shape = shapeOf(filter)
      if (shape !== undefined) {
        session.shapes ??= new Map()
        session.shapes.set(shape, (session.shapes.get(shape) ?? 0) + 1)
      }
    }
    session.filters.set(filter, qos)
    this.#options.router.live.set(filter, session, qos)
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
  #routeResumed(session: Session): void {
    const { cluster, events } = this.#options
    if (session.filters.size === 0) return
    cluster.announce({ added: [...session.filters.keys()] }).then(
      () => {
        if (session.persistent && session.connection.open) session.outbound.queued(0, UNSEEN, 1)
      },
      (error: Error) => {
        events.storeFailed(`routes of ${session.clientId}`, error)
        session.connection.close('store-unavailable', error.message)
      },
    )
  }

  #unroute(session: Session, filter: string): void {
    this.#options.router.live.delete(filter, session)
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

  /** A stored session has ended: nothing is queued for it any more, here and at other nodes. */
  #forgetStored(clientId: string): void {
    const { router, cluster, events } = this.#options
    if (!router.stored.has(clientId)) return
    router.stored.clear(clientId)
    cluster
      .announce({ sessions: [clientId] })
      .catch((error: Error) => events.storeFailed(`end of the session of ${clientId}`, error))
  }
}

export function factsOf(connection: Connection): ConnectionFacts {
  const { id, listener, peer, clientId } = connection
  return { id, listener, peer, clientId }
}
