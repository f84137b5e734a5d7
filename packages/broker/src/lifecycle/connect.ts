/**
 * The order of effects of one CONNECT.
 *
 *   log in → count for its account → claim the client id → open the session → (aedes registers the client)
 *   → ask once more → CONNACK → the session is live
 *
 * In: a client that has sent a sound CONNECT (control/client-control.ts). Out: its session, or one close reason.
 * While it waits for its session, those who change rules, revocations, authorities or the password file walk over
 * the clients that are live, and this one is not among them yet: what let it in is asked once more, in the turn of
 * the event loop in which its session goes live. Bounds: those of the ways of logging in and of the ownership.
 */
import { SHARED_PACKET_ID_MIN, type OpenedSession, type Store } from '@breakwater/store'
import type { Config } from '@breakwater/config'
import type { Permissions } from '../access/permissions.ts'
import type { AccessControl, Admitted, Login } from '../auth/access-control.ts'
import type { Refused } from '../auth/answer.ts'
import type { Connection } from '../connection/connection.ts'
import type { Eviction } from '../connection/eviction.ts'
import type { ClientControl, ConnectSteps, PendingSession } from '../control/client-control.ts'
import { CleanOutbound } from '../deliver/clean-outbound.ts'
import { FrameSink } from '../deliver/frame-sink.ts'
import type { Outbound } from '../deliver/outbound.ts'
import { StoredOutbound } from '../deliver/stored-outbound.ts'
import { factsOf, type Events } from '../observe/events.ts'
import type { RevocationEnforcement } from '../revocation/revocation-enforcement.ts'
import { PublishLane } from '../route/publish-lane.ts'
import type { Router } from '../route/router.ts'
import type { Account, Accounts } from '../session/accounts.ts'
import type { Ownership } from '../session/ownership.ts'
import { Session } from '../session/session.ts'
import { WantedTopics } from '../session/wanted-topics.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface ConnectOptions {
  readonly config: Config
  readonly store: Store
  readonly router: Router
  readonly events: Events
  readonly access: AccessControl
  readonly enforcement: RevocationEnforcement
  readonly accounts: Accounts
  readonly ownership: Ownership
  readonly subscriptions: Subscriptions
}

export class Connect implements ConnectSteps {
  readonly #options: ConnectOptions
  /** How often Redis may have lost something. */
  #losses = 0

  constructor(options: ConnectOptions) {
    this.#options = options
  }

  authenticate(connection: Connection, login: Login): Promise<Admitted | Refused> {
    return this.#options.access.admit(connection, login)
  }

  async openSession(
    client: ClientControl,
    { permissions }: Admitted,
  ): Promise<PendingSession | undefined> {
    const { access, accounts, ownership, subscriptions } = this.#options
    const { clientId, connection, persistent } = client
    if (!connection.open) return undefined
    const account = accounts.enter(connection, this.#replaces(client))
    if (account === undefined) {
      connection.close('user-connections-full')
      return undefined
    }
    client.account = account
    const losses = this.#losses
    const opened = await ownership.claim(client)
    if (opened === 'another-user') {
      connection.close('client-id-rejected', 'it belongs to another user')
      return undefined
    }
    if (opened === 'sessions-full') connection.close('user-sessions-full')
    if (opened === undefined || opened === 'sessions-full') return undefined
    if (!persistent) subscriptions.forget(clientId)
    access.renew(permissions)
    const allowed = await subscriptions.allowed(connection, opened, permissions)
    if (!connection.open) return undefined
    const resumed = { ...opened, subscriptions: allowed }
    return {
      present: opened.present,
      subscriptions: allowed,
      isLost: () => persistent && losses !== this.#losses,
      start: () => this.#start(connection, persistent, resumed, permissions, account),
    }
  }

  refusalNow(
    connection: Connection,
    admitted: Admitted,
    { subscriptions, isLost }: PendingSession,
  ): Eviction | undefined {
    const { access, enforcement } = this.#options
    const ended = enforcement.refusalNow(connection)
    if (ended !== undefined) return ended
    const refused = access.refusalNow(admitted)
    if (refused !== undefined) return { reason: refused.refused, detail: refused.detail }
    const denied = subscriptions.find(
      ({ filter }) => admitted.permissions?.subscribe(filter) === false,
    )
    if (denied !== undefined) return { reason: 'access-revoked', detail: denied.filter }
    return isLost() ? { reason: 'session-lost', detail: undefined } : undefined
  }

  /** Sessions that are open and not live yet may have been lost in part. */
  storeMayHaveLost(): void {
    this.#losses += 1
  }

  /** Its connection here ends for it. */
  #replaces({ clientId, user }: ClientControl): boolean {
    return this.#options.router.sessions.get(clientId)?.connection.user === user
  }

  #start(
    connection: Connection,
    persistent: boolean,
    opened: OpenedSession,
    permissions: Permissions | undefined,
    account: Account,
  ): Session {
    const { config, store, router, events, subscriptions } = this.#options
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
    subscriptions.resumed(session, opened.subscriptions)
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
