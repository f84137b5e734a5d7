/**
 * What subscriptions do to the tables of this node, to the store, and to the other nodes.
 *
 * In: granted and removed filters, resumed and ended sessions. Out: forwarding table, shared subscriptions,
 * filters of stored sessions, routes, retained messages. Composition, like sessions.ts. Bounds: those of each;
 * a route stays for ROUTE_LINGER_MS after its last subscriber.
 */
import { isSharedFilter } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import type { OpenedSession, Store, StoredSubscription } from '@breakwater/store'
import type { Permissions } from './access/permissions.ts'
import { shapeOf } from './auth/subscription-rules.ts'
import type { Connection } from './connection/connection.ts'
import { factsOf, type Events } from './events.ts'
import { replayRetained } from './route/retained-replay.ts'
import type { Router } from './route/router.ts'
import { UNSEEN } from './session/queue-look.ts'
import type { Session } from './session/session.ts'

/** A client that comes back soon finds its routes in force. */
const ROUTE_LINGER_MS = 1_000

export interface SubscriptionsOptions {
  readonly config: Config
  readonly store: Store
  readonly cluster: Cluster
  readonly router: Router
  readonly events: Events
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  /** Filters that may have lost their last subscriber here. */
  readonly #idleRoutes = new Set<string>()
  #idleTimer: NodeJS.Timeout | undefined

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** Of a session that is resumed: filters that the access rules of now do not allow are gone. */
  async allowed(
    connection: Connection,
    { epoch, subscriptions }: OpenedSession,
    permissions: Permissions | undefined,
  ): Promise<readonly StoredSubscription[]> {
    if (permissions === undefined) return subscriptions
    const denied = subscriptions
      .map(({ filter }) => filter)
      .filter((filter) => !permissions.subscribe(filter))
    if (denied.length === 0) return subscriptions
    const { router, store, cluster, events } = this.#options
    const { clientId } = connection
    await store.removeSubscriptions({ clientId, epoch }, denied)
    for (const filter of denied) {
      events.subscriptionRefused(factsOf(connection), filter, 'the access rules do not allow it')
      router.stored.delete(clientId, filter)
      if (isSharedFilter(filter)) await router.shared.membership.leaveStored(filter, clientId)
    }
    await cluster.announce({ sessions: [clientId] })
    return subscriptions.filter(({ filter }) => !denied.includes(filter))
  }

  async subscribed(session: Session, granted: readonly StoredSubscription[]): Promise<() => void> {
    const { router, store, cluster } = this.#options
    // In the store before anybody is told to look there.
    if (session.persistent) await store.addSubscriptions(session, granted)
    // New rules ask what a session has, which this is only from here on.
    const denied = granted.find(({ filter }) => session.permissions?.subscribe(filter) === false)
    if (denied !== undefined) session.connection.close('access-revoked', denied.filter)
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
    const { router, store, cluster } = this.#options
    if (session.persistent) await store.removeSubscriptions(session, filters)
    // At once: the client may have come back elsewhere and subscribed anew by the time that a group has heard.
    for (const filter of filters) {
      this.#unprogram(session, filter)
      router.stored.delete(session.clientId, filter)
    }
    if (session.persistent)
      for (const filter of filters.filter(isSharedFilter))
        await router.shared.membership.leaveStored(filter, session.clientId)
    if (session.persistent) await cluster.announce({ sessions: [session.clientId] })
  }

  /**
   * Until the others know that a resumed session is here, they put messages into its queue without a word:
   * then it is read once more.
   */
  resumed(session: Session, subscriptions: readonly StoredSubscription[]): void {
    const { cluster, events, router } = this.#options
    const joined = this.#program(session, subscriptions)
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

  /** The store may have lost some. */
  async storeAgain(session: Session): Promise<void> {
    const { store } = this.#options
    const subscriptions = [...session.filters].map(([filter, qos]) => ({ filter, qos }))
    if (subscriptions.length > 0) await store.addSubscriptions(session, subscriptions)
  }

  /** Its connection has ended. */
  ended(session: Session): void {
    for (const filter of session.filters.keys()) this.#unroute(session, filter)
  }

  /** A stored session has ended: nothing is queued for it any more, here and at other nodes. */
  forget(clientId: string): void {
    const { router, cluster, events } = this.#options
    if (!router.stored.has(clientId)) return
    this.#clearStored(clientId)
    cluster
      .announce({ sessions: [clientId] })
      .catch((error: Error) => events.storeFailed(`end of the session of ${clientId}`, error))
  }

  /** Stored sessions have expired; with many of them it takes so long that some clients are back by now. */
  async expired(clientIds: readonly string[]): Promise<void> {
    const { store, cluster } = this.#options
    for (const { clientId, subscriptions } of await store.filtersOf(clientIds))
      if (subscriptions.length === 0) this.#clearStored(clientId)
    await cluster.announce({ sessions: clientIds })
  }

  #replay(session: Session, subscriptions: readonly StoredSubscription[], live: Set<string>): void {
    const { cluster, router, events, config } = this.#options
    const messagesMax = config.limits.retainedReplayMessagesMax
    const { retained, server } = router
    const options = { cluster, retained, server, events, messagesMax }
    // One after the other, in the order of the SUBACKs.
    session.replays = (session.replays ?? Promise.resolve())
      .then(() => replayRetained(session, subscriptions, live, options))
      .catch((error: Error) => {
        // A subscriber that was promised retained messages and cannot have them is told by the close.
        events.storeFailed('retained messages', error)
        session.connection.close('store-unavailable', error.message)
      })
      .finally(() => session.endReplay(live))
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
}
