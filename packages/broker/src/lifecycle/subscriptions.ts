/**
 * What subscriptions do to the tables of this node, to the store, and to the other nodes.
 *
 * In: granted and removed filters, resumed and ended sessions. Out: forwarding table, shared subscriptions,
 * filters of stored sessions, routes, retained messages. Composition, like session-lifecycle.ts. Bounds: those of each;
 * a route stays for ROUTE_LINGER_MS after its last subscriber.
 */
import { isSharedFilter, type QoS, REFUSED, type SubscribeFrame } from '@breakwater/mqtt'
import type { Cluster } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import type { FilterRefusal } from '@breakwater/metrics'
import type { OpenedSession, Store, StoredSubscription } from '@breakwater/store'
import type { Permissions } from '../access/permissions.ts'
import { FilterRequests, shapeOf } from './subscription-rules.ts'
import type { Connection } from '../connection/connection.ts'
import type { Decided } from '../control/client-control.ts'
import { Slices } from './slices.ts'
import { factsOf, type Events } from '../observe/events.ts'
import { ReplayQueue } from '../retained/replay-queue.ts'
import { replayRetained } from '../retained/retained-replay.ts'
import type { Router } from '../route/router.ts'
import { UNSEEN } from '../session/queue-look.ts'
import type { Session } from '../session/session.ts'

/** Refused filters of one SUBSCRIBE that are named in the log; the others are counted there. */
const REFUSALS_SAID = 10
/** Filters of one SUBSCRIBE between two looks at the clock. */
const REQUESTS_PER_LOOK = 16
const NONE: ReadonlySet<string> = new Set()
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
    const allowed: StoredSubscription[] = []
    const denied: string[] = []
    const slices = new Slices()
    for (const subscription of subscriptions) {
      if (permissions.subscribe(subscription.filter)) allowed.push(subscription)
      else denied.push(subscription.filter)
      if (slices.isOver) await slices.next()
    }
    if (denied.length === 0) return subscriptions
    const { router, store, cluster, events } = this.#options
    const { clientId } = connection
    await store.removeSubscriptions({ clientId, epoch }, denied)
    for (const filter of denied) {
      events.subscriptionRefused(factsOf(connection), filter, 'denied')
      router.stored.delete(clientId, filter)
    }
    await this.#leaveStored(denied, clientId)
    await cluster.announce({ changed: { clientId, filters: denied } })
    return allowed
  }

  /** Which filters of a SUBSCRIBE are granted, for a packet of any size. */
  async decide(session: Session, requests: SubscribeFrame['requests']): Promise<Decided> {
    const { config, events } = this.#options
    const { permissions, connection } = session
    const asked = new FilterRequests(
      session,
      config.limits,
      (filter) => permissions?.subscribe(filter) !== false,
    )
    const granted = new Map<string, QoS>()
    const codes: number[] = []
    const refusals = new Set<string>()
    const refuse = (filter: string, why: FilterRefusal): void => {
      if (refusals.has(filter)) return
      refusals.add(filter)
      if (refusals.size > REFUSALS_SAID) events.filtersRefused[why].add(1)
      else events.subscriptionRefused(factsOf(connection), filter, why)
    }
    const slices = new Slices()
    for (const { filter, qos } of requests) {
      const why = asked.refusal(filter)
      codes.push(why === undefined ? qos : REFUSED)
      if (why === undefined) granted.set(filter, qos)
      else refuse(filter, why)
      if (codes.length % REQUESTS_PER_LOOK === 0 && slices.isOver) {
        await slices.next()
        if (!connection.open) break
      }
    }
    const tooMany = await this.#groupsTooMany(session, granted)
    if (!connection.open) return { codes: [], granted: [] }
    for (const filter of tooMany) {
      granted.delete(filter)
      refuse(filter, 'user-groups-full')
    }
    if (tooMany.size > 0)
      for (const [index, { filter }] of requests.entries())
        if (tooMany.has(filter)) codes[index] = REFUSED
    const others = refusals.size - REFUSALS_SAID
    if (others > 0) events.subscriptionsRefused(factsOf(connection), others)
    return { codes, granted: [...granted].map(([filter, qos]) => ({ filter, qos })) }
  }

  /** Shared subscriptions that it may not have because its user has too many. */
  async #groupsTooMany(
    { filters, account, connection }: Session,
    granted: ReadonlyMap<string, QoS>,
  ): Promise<ReadonlySet<string>> {
    const asked = [...granted.keys()].filter(
      (filter) => isSharedFilter(filter) && !filters.has(filter),
    )
    if (asked.length === 0) return NONE
    const { shared } = this.#options.store
    try {
      const entered = await Promise.all(asked.map((filter) => shared.enter(filter, account.name)))
      return new Set(asked.filter((_, index) => entered[index] === false))
    } catch (error) {
      connection.close('store-unavailable', (error as Error).message)
      return NONE
    }
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
      ...(session.persistent ? { changed: { clientId: session.clientId, filters } } : {}),
    })
    router.shared.membership.look(filters)
    const replayed = granted.filter(({ filter }) => !isSharedFilter(filter))
    return () => this.#replaysOf(session).add(replayed, live)
  }

  async unsubscribed(session: Session, filters: readonly string[]): Promise<void> {
    const { router, store, cluster } = this.#options
    if (session.persistent) await store.removeSubscriptions(session, filters)
    // At once: the client may have come back elsewhere and subscribed anew by the time that a group has heard.
    this.#unprogram(session, filters)
    for (const filter of filters) router.stored.delete(session.clientId, filter)
    if (!session.persistent) return
    await this.#leaveStored(filters, session.clientId)
    for (const filter of filters.filter(isSharedFilter)) this.#leftGroup(session, filter)
    await cluster.announce({ changed: { clientId: session.clientId, filters } })
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
    this.#unroute(session, [...session.filters.keys()])
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

  #replaysOf(session: Session): ReplayQueue {
    const { cluster, router, events, config } = this.#options
    const messagesMax = config.limits.retainedReplayMessagesMax
    const { retained, server } = router
    const options = { cluster, retained, server, events, messagesMax }
    session.replays ??= new ReplayQueue({
      run: (subscriptions, live) =>
        replayRetained(session, subscriptions, live, options).catch((error: Error) => {
          // A subscriber that was promised retained messages and cannot have them is told by the close.
          events.storeFailed('retained messages', error)
          session.connection.close('store-unavailable', error.message)
        }),
      ended: (live) => session.endReplay(live),
    })
    return session.replays
  }

  /** Resolves when it is a member of its shared subscriptions. */
  async #program(session: Session, granted: readonly StoredSubscription[]): Promise<void> {
    const { router } = this.#options
    const joined: Promise<void>[] = []
    for (const { filter, qos } of granted) {
      this.#count(session, filter)
      session.filters.set(filter, qos)
      if (!isSharedFilter(filter)) router.live.set(filter, session, qos)
      else joined.push(router.shared.add(session, filter, qos))
    }
    if (joined.length > 0) await Promise.all(joined)
  }

  /** A stored session is a member of these groups no more. */
  async #leaveStored(filters: readonly string[], clientId: string): Promise<void> {
    const { membership } = this.#options.router.shared
    const shared = filters.filter(isSharedFilter)
    await Promise.all(shared.map((filter) => membership.leaveStored(filter, clientId)))
  }

  /** What stays in the set of its user though the group is gone is found when that is full. */
  #leftGroup({ account }: Session, filter: string): void {
    this.#options.store.shared.left(filter, account.name).catch(() => undefined)
  }

  #count(session: Session, filter: string): void {
    if (session.filters.has(filter)) return
    session.filterBytes += Buffer.byteLength(filter)
    if (isSharedFilter(filter)) session.groups += 1
    session.filtersVersion += 1
    const shape = shapeOf(filter)
    if (shape === undefined) return
    session.shapes ??= new Map()
    session.shapes.set(shape, (session.shapes.get(shape) ?? 0) + 1)
  }

  #unprogram(session: Session, filters: readonly string[]): void {
    const gone = filters.filter((filter) => session.filters.delete(filter))
    this.#unroute(session, gone)
    for (const filter of gone) {
      session.filterBytes -= Buffer.byteLength(filter)
      if (isSharedFilter(filter)) session.groups -= 1
      session.filtersVersion += 1
      const shape = shapeOf(filter)
      if (shape === undefined || session.shapes === undefined) continue
      const others = (session.shapes.get(shape) ?? 1) - 1
      if (others === 0) session.shapes.delete(shape)
      else session.shapes.set(shape, others)
    }
  }

  #unroute(session: Session, filters: readonly string[]): void {
    const { router, cluster } = this.#options
    const left: string[] = []
    for (const filter of filters) {
      if (isSharedFilter(filter)) {
        if (!router.shared.remove(session, filter)) continue
        left.push(filter)
        this.#leftGroup(session, filter)
        continue
      }
      router.live.delete(filter, session)
      this.#idleRoutes.add(filter)
    }
    // At once: the others would go on to choose this node.
    if (left.length > 0) cluster.withdraw(left)
    if (this.#idleRoutes.size === 0) return
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
