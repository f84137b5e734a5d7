/**
 * What the node does when the control plane says so: opens and ends sessions, publishes wills, tells the
 * other nodes. Composition, like node.ts: it knows the stages, they do not know each other.
 */
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises'
import { isSharedFilter, type SubscribeFrame } from '@breakwater/mqtt'
import type { Bus, OwnerNotice } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Config, Limits } from '@breakwater/config'
import {
  SHARED_PACKET_ID_MIN,
  type OpenedSession,
  type Store,
  type StoredSubscription,
} from '@breakwater/store'
import type { Permissions } from '../access/permissions.ts'
import type { Refused } from '../auth/answer.ts'
import type { CloseReasonId } from '../connection/close-reason.ts'
import type { Connection } from '../connection/connection.ts'
import type {
  ClientControl,
  ControlHost,
  Decided,
  PendingSession,
} from '../control/client-control.ts'
import type { Eviction } from '../connection/eviction.ts'
import { CleanOutbound } from '../deliver/clean-outbound.ts'
import { FrameSink } from '../deliver/frame-sink.ts'
import type { Outbound } from '../deliver/outbound.ts'
import { StoredOutbound } from '../deliver/stored-outbound.ts'
import { factsOf, type Events } from '../observe/events.ts'
import type { Admitted, AccessControl, Login } from '../auth/access-control.ts'
import { refusalAtGoLive } from './go-live.ts'
import { PublishLane } from '../route/publish-lane.ts'
import type { RevocationEnforcement } from '../revocation/revocation-enforcement.ts'
import type { Router } from '../route/router.ts'
import { WantedTopics } from '../session/wanted-topics.ts'
import { Accounts, type Account } from '../session/accounts.ts'
import { Adoption } from '../session/adoption.ts'
import type { End } from '../session/contender.ts'
import { endStoredSession } from '../session/ending.ts'
import { Kicks } from '../session/kicks.ts'
import { Ownership } from '../session/ownership.ts'
import { QueueLook } from '../session/queue-look.ts'
import { Session } from '../session/session.ts'
import { Wills } from '../session/wills.ts'
import { Subscriptions } from './subscriptions.ts'

/** What is under way when the node stops has so long. */
const STOP_TIMEOUT_MS = 1_000
/** Sessions that are looked at in one go when Redis may have lost something. */
const RECOVER_BATCH = 500

export interface SessionLifecycleOptions {
  readonly config: Config
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
  readonly router: Router
  readonly events: Events
  readonly access: AccessControl
  readonly enforcement: RevocationEnforcement
}

export class SessionLifecycle implements ControlHost {
  readonly controlRate: Limits
  readonly #options: SessionLifecycleOptions
  readonly #accounts: Accounts
  readonly #wills: Wills
  readonly #ownership: Ownership
  readonly #adoption: Adoption
  readonly #subscriptions: Subscriptions
  readonly #queueLook: QueueLook
  readonly #kicks: Kicks
  /** How often Redis may have lost something. */
  #recoveries = 0

  constructor(options: SessionLifecycleOptions) {
    this.#options = options
    this.controlRate = options.config.limits
    const { store, bus, router, events, config } = options
    const { takeOverTimeoutMs, storeTimeoutMs, connectTimeoutMs } = config.limits
    // A client is refused before the deadline of its CONNECT would end it without an answer.
    const openTimeoutMs = Math.min(storeTimeoutMs, connectTimeoutMs * 0.8)
    this.#accounts = new Accounts(config.limits)
    this.#subscriptions = new Subscriptions(options)
    this.#queueLook = new QueueLook(router.sessions)
    this.#kicks = new Kicks({ ...options, sessions: router.sessions })
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
      wills: this.#wills,
      takeOverTimeoutMs,
      openTimeoutMs,
      onFault: (what, error) => events.storeFailed(what, error),
    })
    const { nodeId } = bus
    this.#adoption = new Adoption({ store, nodeId, ownership: this.#ownership, events })
  }

  authenticate(connection: Connection, login: Login): Promise<Admitted | Refused> {
    return this.#options.access.admit(connection, login)
  }

  async openSession(
    client: ClientControl,
    { permissions }: Admitted,
  ): Promise<PendingSession | undefined> {
    const { clientId, connection, persistent } = client
    if (!connection.open) return undefined
    const account = this.#accounts.enter(connection, this.#replaces(client))
    if (account === undefined) {
      connection.close('user-connections-full')
      return undefined
    }
    client.account = account
    const recoveries = this.#recoveries
    const opened = await this.#ownership.claim(client)
    if (opened === 'another-user') {
      connection.close('client-id-rejected', 'it belongs to another user')
      return undefined
    }
    if (opened === 'sessions-full') connection.close('user-sessions-full')
    if (opened === undefined || opened === 'sessions-full') return undefined
    if (!persistent) this.#subscriptions.forget(clientId)
    this.#options.access.renew(permissions)
    const subscriptions = await this.#subscriptions.allowed(connection, opened, permissions)
    if (!connection.open) return undefined
    const allowed = { ...opened, subscriptions }
    return {
      present: opened.present,
      subscriptions,
      isLost: () => persistent && recoveries !== this.#recoveries,
      start: () => this.#start(connection, persistent, allowed, permissions, account),
    }
  }

  refusalNow(
    connection: Connection,
    admitted: Admitted,
    pending: PendingSession,
  ): Eviction | undefined {
    return refusalAtGoLive(this.#options, connection, admitted, pending)
  }

  decide(session: Session, requests: SubscribeFrame['requests']): Promise<Decided> {
    return this.#subscriptions.decide(session, requests)
  }

  subscribed(session: Session, granted: readonly StoredSubscription[]): Promise<() => void> {
    return this.#subscriptions.subscribed(session, granted)
  }

  unsubscribed(session: Session, filters: readonly string[]): Promise<void> {
    return this.#subscriptions.unsubscribed(session, filters)
  }

  /** A stored session has expired. */
  expired(clientIds: readonly string[]): Promise<void> {
    return this.#subscriptions.expired(clientIds)
  }

  unexpected(what: string, error: unknown): void {
    this.#options.events.unexpected(what, error)
  }

  /** The connection has ended. */
  end(client: ClientControl, reason: CloseReasonId): void {
    const { session, clientId, account } = client
    if (account !== undefined) this.#accounts.leave(account)
    const how = this.#endOf(client, reason)
    void client.ended.then(() => this.#ownership.ended(client, how))
    if (session === undefined) return
    const { router } = this.#options
    this.#subscriptions.ended(session)
    if (router.sessions.get(clientId) === session) router.sessions.delete(clientId)
    session.outbound.close()
    session.shared?.close()
    session.lane.close()
  }

  /** Its connection here ends for it. */
  #replaces({ clientId, user }: ClientControl): boolean {
    return this.#options.router.sessions.get(clientId)?.connection.user === user
  }

  /** Whether a will is due [MQTT-3.1.2-8], [MQTT-3.14.4-3], and who has to see to that. */
  #endOf({ session, will }: ClientControl, reason: CloseReasonId): End {
    // Where CONNACK was not sent there was no connection that could be lost.
    if (session === undefined || will === undefined || reason === 'disconnected') return 'left'
    if (session.permissions?.deniedWill !== undefined) {
      this.#options.events.dropped('denied', will.qos)
      return 'left'
    }
    return reason === 'shutting-down' && this.#options.bus.clustered ? 'kept' : 'lost'
  }

  /** A node is gone: the wills of its clients that are not back are published. @throws {Error} Redis is away */
  adopt(departedNodeId: string, calledOff: AbortSignal): Promise<void> {
    return this.#adoption.adopt(departedNodeId, calledOff)
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
    if (this.#adoption.stop() || this.#ownership.leavesBehind)
      cluster.leaveBehind(config.limits.willDrainWindowMs)
  }

  /** What other nodes say. */
  notice(from: string, notice: OwnerNotice): void {
    if (notice.kind === 'kicked') this.#kicks.here(notice)
    else this.#ownership.notice(from, notice)
  }

  /** @throws {Error} as `Kicks.anywhere` */
  kick(clientId: string): Promise<'closed' | 'told' | 'unknown'> {
    return this.#kicks.anywhere(clientId)
  }

  /** An operator ends a stored session. Resolves with whether there was one. @throws {Error} as `kick` */
  async endStored(clientId: string): Promise<boolean> {
    const { store, config } = this.#options
    const parts = {
      store,
      ownership: this.#ownership,
      kick: (id: string): Promise<unknown> => this.#kicks.anywhere(id),
      patienceMs: config.limits.takeOverTimeoutMs,
    }
    const ended = await endStoredSession(parts, clientId)
    if (ended) this.#subscriptions.forget(clientId)
    return ended
  }

  /** Something may have been missed: who owns a client id now, and what has come into a queue. */
  async resync(): Promise<void> {
    this.lookIntoQueues()
    await this.#ownership.resync()
  }

  /** Another node, which may be gone, may have put messages into queues and told nobody here. */
  lookIntoQueues(): void {
    this.#queueLook.start()
    this.#options.router.shared.membership.resync()
  }

  /** The store may know nothing of who is connected here. */
  restore(): Promise<void> {
    return this.#ownership.restore()
  }

  /**
   * Redis may have lost a part of what it had acknowledged. A session of which it has is closed: it resumes what
   * is left. What the others have subscribed to is stored again.
   */
  async recover(): Promise<void> {
    this.#recoveries += 1
    const { store, router } = this.#options
    const held = [...router.sessions.values()].filter(({ persistent }) => persistent)
    while (held.length > 0) {
      const batch = held.splice(0, RECOVER_BATCH)
      const owners = batch.map(({ clientId, epoch, outbound }) => {
        return { clientId, epoch, position: outbound.position }
      })
      const lost = new Set(await store.lostSessions(owners))
      for (const { clientId, connection } of batch)
        if (lost.has(clientId)) connection.close('session-lost')
      const others = batch.filter(({ connection }) => connection.open)
      await Promise.all(others.map((session) => this.#subscriptions.storeAgain(session)))
    }
  }

  /** The store has refused a write of an owner that has been replaced. */
  fenced(clientId: string, epoch: number): void {
    this.#ownership.fenced({ clientId, epoch })
  }

  /** Messages of other nodes to this one were lost: who was promised them is told by the close. */
  missed(reason: 'lease-lost' | 'bus-overflow', detail?: string): void {
    for (const { persistent, filters, connection } of this.#options.router.sessions.values())
      if (!persistent && [...filters].some(([filter, qos]) => qos > 0 && !isSharedFilter(filter)))
        connection.close(reason, detail)
    this.#queueLook.start()
    const { membership } = this.#options.router.shared
    if (reason === 'lease-lost') membership.revive()
    else membership.resync()
  }

  #start(
    connection: Connection,
    persistent: boolean,
    opened: OpenedSession,
    permissions: Permissions | undefined,
    account: Account,
  ): Session {
    const { config, store, router, events } = this.#options
    const { clientId } = connection
    const { limits } = config
    const sink = new FrameSink(connection, events)
    // Made when its queue is read for the first time.
    let wantedTopics: WantedTopics | undefined
    const wanted = (): WantedTopics => (wantedTopics ??= new WantedTopics(session))
    const outbound: Outbound = persistent
      ? new StoredOutbound({
          clientId,
          opened,
          inflightMessagesMax: limits.inflightMessagesMax,
          store,
          sink,
          ...(permissions === undefined ? {} : { isWanted: (topic) => wanted().has(topic) }),
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
      account,
      connection,
      sink,
      router,
      store,
      events,
      limits,
      permissions,
      closeDenied: config.publishDenied === 'close',
    })
    const session: Session = new Session({
      clientId,
      connection,
      persistent,
      resumed: opened.present,
      epoch: opened.epoch,
      sink,
      outbound,
      lane,
      account,
      permissions,
    })
    router.sessions.set(clientId, session)
    if (opened.released.some((packetId) => packetId >= SHARED_PACKET_ID_MIN))
      router.shared.serve(session, opened.released)
    this.#subscriptions.resumed(session, opened.subscriptions)
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
}
