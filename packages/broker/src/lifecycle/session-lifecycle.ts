/**
 * The sessions of a node after they are open (connect.ts): their ends and wills, what other nodes say of them, and
 * what is done when Redis may have lost something. Composition, like node.ts: it knows the stages, they do not know
 * each other.
 */
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises'
import { isSharedFilter } from '@breakwater/mqtt'
import type { Bus, OwnerNotice } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import type { Store } from '@breakwater/store'
import type { AccessControl } from '../auth/access-control.ts'
import type { Connection } from '../connection/connection.ts'
import type { CloseReasonId } from '../connection/close-reason.ts'
import type { ClientControl } from '../control/client-control.ts'
import type { Events } from '../observe/events.ts'
import type { RevocationEnforcement } from '../revocation/revocation-enforcement.ts'
import type { Router } from '../route/router.ts'
import { Accounts } from '../session/accounts.ts'
import { Adoption } from '../session/adoption.ts'
import type { End } from '../session/contender.ts'
import { endStoredSession } from '../session/ending.ts'
import { Kicks } from '../session/kicks.ts'
import { Ownership } from '../session/ownership.ts'
import { QueueLook } from '../session/queue-look.ts'
import { Wills } from '../session/wills.ts'
import { Connect } from './connect.ts'
import { Subscriptions } from './subscriptions.ts'

/** What is under way when the node stops has so long. */
const STOP_TIMEOUT_MS = 1_000
/** Sessions that are looked at in one go when Redis may have lost something. */
const RECOVER_BATCH = 500

export interface SessionLifecycleOptions {
  readonly connections: ReadonlySet<Connection>
  readonly config: Config
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
  readonly router: Router
  readonly events: Events
  readonly access: AccessControl
  readonly enforcement: RevocationEnforcement
}

export class SessionLifecycle {
  /** How a client comes to its session. */
  readonly connect: Connect
  readonly subscriptions: Subscriptions
  readonly #options: SessionLifecycleOptions
  readonly #accounts: Accounts
  readonly #wills: Wills
  readonly #ownership: Ownership
  readonly #adoption: Adoption
  readonly #queueLook: QueueLook
  readonly #kicks: Kicks

  constructor(options: SessionLifecycleOptions) {
    this.#options = options
    const { store, bus, router, events, config } = options
    const { takeOverTimeoutMs, storeTimeoutMs, connectTimeoutMs } = config.limits
    // A client is refused before the deadline of its CONNECT would end it without an answer.
    const openTimeoutMs = Math.min(storeTimeoutMs, connectTimeoutMs * 0.8)
    this.#accounts = new Accounts(config.limits)
    this.subscriptions = new Subscriptions(options)
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
    this.connect = new Connect({
      ...options,
      accounts: this.#accounts,
      ownership: this.#ownership,
      subscriptions: this.subscriptions,
    })
    const { nodeId } = bus
    this.#adoption = new Adoption({ store, nodeId, ownership: this.#ownership, events })
  }

  /** A stored session has expired. */
  expired(clientIds: readonly string[]): Promise<void> {
    return this.subscriptions.expired(clientIds)
  }

  /** The connection has ended. */
  end(client: ClientControl, reason: CloseReasonId): void {
    const { session, clientId, account } = client
    if (account !== undefined) this.#accounts.leave(account)
    const how = this.#endOf(client, reason)
    void client.ended.then(() => this.#ownership.ended(client, how))
    if (session === undefined) return
    const { router } = this.#options
    this.subscriptions.ended(session)
    if (router.sessions.get(clientId) === session) router.sessions.delete(clientId)
    session.outbound.close()
    session.shared?.close()
    session.lane.close()
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
    if (notice.kind === 'kicked') this.#kicks.notice(notice)
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
    if (ended) this.subscriptions.forget(clientId)
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
    this.connect.storeMayHaveLost()
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
      await Promise.all(others.map((session) => this.subscriptions.storeAgain(session)))
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
}
