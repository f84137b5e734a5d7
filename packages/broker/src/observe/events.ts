/**
 * What happens in a node, one function per event: the counter and the log line of an event are never
 * apart. Client ids and addresses are in log lines, never in labels; payloads are in neither.
 */
import type { QoS } from '@breakwater/mqtt'
import type { AdminRefusal, FilterRefusal } from '@breakwater/metrics'
import { closeReason, type CloseReasonId } from '../connection/close-reason.ts'
import { EventCells } from './event-cells.ts'
import { WHY_REFUSED } from './filter-refusal.ts'
import type { BrokerInstruments } from './instruments.ts'
import type { LogKind } from '../log/kinds.ts'
import type { Subject } from '../log/line-rate.ts'
import type { LineFacts, LogLevel, NodeLog } from '../log/node-log.ts'
import type { TlsFacts } from '../listen/tls-keeper.ts'
import type { FilesReport } from '../files/watched-files.ts'
import { LoginEvents } from './login-events.ts'
import { RedisEvents } from './redis-events.ts'

export interface ConnectionFacts {
  readonly id: number
  readonly listener: string
  readonly peer: string
  readonly clientId: string
  /** The network of its address, where that is known to be the client's. Not in lines. */
  readonly network: string | undefined
}

export function factsOf({
  id,
  listener,
  peer,
  clientId,
  network,
}: ConnectionFacts): ConnectionFacts {
  return { id, listener, peer, clientId, network }
}

function lineOf({ id, listener, peer, clientId }: ConnectionFacts): object {
  return { id, listener, peer, clientId }
}

/** Without its port, which is another one each time. */
function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':'))
}

/** Why admission closes what it has not begun with. */
const SHED_REASONS: ReadonlySet<CloseReasonId> = new Set<CloseReasonId>([
  'connections-full',
  'overloaded',
  'held-full',
  'held-too-long',
  'address-rate',
])

const FAULT_LEVELS: ReadonlySet<LogLevel> = new Set<LogLevel>(['warn', 'error'])

/** What may be changed by the admin API. */
export type AdminChange =
  | 'client-closed'
  | 'session-ended'
  | 'retained-cleared'
  | 'revocation-added'
  | 'revocation-removed'

export class Events extends EventCells {
  readonly #log: NodeLog
  readonly #instruments: BrokerInstruments
  readonly logins: LoginEvents
  readonly redis: RedisEvents

  constructor(log: NodeLog, instruments: BrokerInstruments, listeners: readonly string[]) {
    super(instruments, listeners)
    this.#log = log
    this.#instruments = instruments
    this.logins = new LoginEvents(log, instruments)
    this.redis = new RedisEvents(log, instruments)
  }

  /** It answers probes; what else the node needs may not be there yet. */
  adminReady(admin: string): void {
    this.#say('node', 'info', { admin }, 'admin server is up')
  }

  nodeReady(addresses: readonly string[], admin: string, nodeId: string): void {
    this.#say('node', 'info', { listen: addresses, admin, nodeId }, 'node is ready')
  }

  nodeStopping(connections: number): void {
    this.#say('node', 'info', { connections }, 'node is stopping')
  }

  /** So many clients are still served. */
  draining(clients: number): void {
    this.#say('node', 'info', { clients }, 'disconnecting clients so that they move to other nodes')
  }

  nodeStopped(): void {
    this.#say('node', 'info', {}, 'node has stopped')
  }

  developmentCertificate(caPath: string): void {
    this.#say(
      'node',
      'warn',
      { ca: caPath },
      'no certificate is configured: certificates of a development CA are used',
    )
  }

  anonymousAllowed(listeners: readonly string[]): void {
    this.#say('node', 'warn', { listeners }, 'clients without credentials are allowed')
  }

  clientIdsUnbound(listeners: readonly string[]): void {
    this.#say(
      'node',
      'warn',
      { listeners },
      'access rules use client ids, but any client may take any client id at these listeners: set BREAKWATER_CLIENT_ID',
    )
  }

  connectionAccepted(listener: string): void {
    this.#instruments.counter('connections_opened_total').cell({ listener }).add(1)
    this.#instruments.gauge('connections').cell({ listener }).add(1)
  }

  connectionClosed(
    facts: ConnectionFacts,
    reason: CloseReasonId,
    detail: string | undefined,
  ): void {
    this.countClose(facts.listener, reason)
    const fields = { ...lineOf(facts), reason, ...(detail === undefined ? {} : { detail }) }
    const { logLevel } = closeReason(reason)
    const kind = FAULT_LEVELS.has(logLevel) ? 'connection-fault' : 'connection-closed'
    this.#say(kind, logLevel, fields, 'connection closed', facts.network ?? facts.clientId)
  }

  /** A socket that never became a connection: TLS failed. */
  handshakeFailed(listener: string, peer: string, reason: CloseReasonId, detail: string): void {
    const result = reason === 'handshake-timeout' ? 'timeout' : 'error'
    this.#instruments.counter('tls_handshakes_total').cell({ result }).add(1)
    this.countClose(listener, reason)
    this.#say(
      'handshake-failed',
      'info',
      { listener, peer, reason, detail },
      'connection closed',
      hostOf(peer),
    )
  }

  handshakeDone(kind: 'full' | 'resumed'): void {
    this.#instruments.counter('tls_handshakes_total').cell({ result: 'ok' }).add(1)
    this.#instruments.counter('tls_sessions_total').cell({ kind }).add(1)
  }

  /** A socket that never became a connection, for another reason than TLS. */
  socketRefused(listener: string, peer: string, reason: CloseReasonId, detail: string): void {
    this.countClose(listener, reason)
    const { logLevel } = closeReason(reason)
    const fields = { listener, peer, reason, detail }
    this.#say('connection-refused', logLevel, fields, 'connection closed', hostOf(peer))
    if (SHED_REASONS.has(reason))
      this.#say(
        'connections-shed',
        'warn',
        { reason },
        'closing new connections: the node has as many as it can take',
        reason,
      )
  }

  /** `connectionsMax` is more than the limit on open files allows. */
  connectionsLimited(connectionsMax: number): void {
    this.#say(
      'node',
      'warn',
      { connectionsMax },
      'the limit on open files (ulimit -n) allows fewer connections than connectionsMax',
    )
  }

  /** What a proxy says of a client; nothing is decided by it. */
  connectionProxied(listener: string, peer: string, claims: object): void {
    this.#say('proxy-claims', 'debug', { listener, peer, claims }, 'proxy claims', hostOf(peer))
  }

  certificatesInUse(
    listener: string,
    { notAfter, authorities, serials, nextUpdateMs }: TlsFacts,
    first: boolean,
  ): void {
    const gauge = this.#instruments.gauge.bind(this.#instruments)
    gauge('tls_certificate_not_after_timestamp_seconds')
      .cell({ listener })
      .set(notAfter.getTime() / 1_000)
    const [firstEnd] = authorities
    if (firstEnd !== undefined)
      gauge('tls_client_authority_not_after_timestamp_seconds')
        .cell({ listener })
        .set(firstEnd.endsMs / 1_000)
    if (nextUpdateMs !== undefined)
      gauge('tls_crl_next_update_timestamp_seconds')
        .cell({ listener })
        .set(nextUpdateMs / 1_000)
    if (first) return
    this.#instruments.counter('tls_reloads_total').cell({ listener, result: 'ok' }).add(1)
    this.#say('files', 'info', { listener, notAfter, serials }, 'new certificates are in use')
  }

  certificatesRefused(listener: string, why: string): void {
    this.#instruments.counter('tls_reloads_total').cell({ listener, result: 'error' }).add(1)
    this.#say(
      'files',
      'error',
      { listener, why },
      'new certificates refused; the old ones stay in use',
    )
  }

  storeReplaced(): void {
    this.#say('redis', 'warn', {}, 'Redis restarted or failed over; verifying sessions')
  }

  /** A file of passwords, rules or the admin token has changed. */
  fileInUse(path: string): void {
    this.#say('files', 'info', { path }, 'file changed: the new version is in use')
  }

  /** Somebody has asked for it (SIGHUP). */
  filesReadAgain(report: FilesReport): void {
    const level = report.refused.length === 0 ? 'info' : 'error'
    this.#say('files', level, { ...report }, 'all files were read again')
  }

  fileRefused(path: string, why: string): void {
    this.#say(
      'files',
      'error',
      { path, why },
      'file changed: the new version is refused, the old one stays in use',
    )
  }

  ticketKeyInUse(from: Date): void {
    this.#instruments
      .gauge('tls_ticket_key_timestamp_seconds')
      .cell()
      .set(from.getTime() / 1_000)
    this.#say('ticket-key', 'info', { from }, 'TLS ticket key rotated')
  }

  ticketKeyUnreadable(): void {
    this.#say(
      'ticket-key',
      'error',
      {},
      'the TLS ticket key in Redis was encrypted with another BREAKWATER_TLS_TICKET_WRAP_KEY; clients resume TLS sessions of this node only here',
    )
  }

  certificatesUnwatched(directory: string, error: Error): void {
    this.#say(
      'files',
      'warn',
      { directory, error: error.message },
      'directory cannot be watched; polling it every filePollMs',
    )
  }

  authorityEnded(listener: string, authority: string, since: Date): void {
    this.#say(
      'files',
      'warn',
      { listener, authority, since },
      'a client authority has expired; certificates that it signed are refused',
    )
  }

  revocationsStale(listener: string, since: Date): void {
    this.#say(
      'files',
      'warn',
      { listener, since },
      'the certificate revocation list is past its next update; replace it',
    )
  }

  revocationsChanged(entries: number): void {
    this.#instruments.gauge('revocations').cell().set(entries)
  }

  /** Somebody has changed something by the admin API. */
  changedByAdmin(change: AdminChange, id: string, reason?: string): void {
    this.#instruments.counter('admin_changes_total').cell({ change }).add(1)
    const facts = { id, ...(reason === undefined ? {} : { reason }) }
    this.#say('admin', 'info', facts, `${change.replace('-', ' ')} by the admin API`)
  }

  adminRefused(reason: AdminRefusal): void {
    this.#instruments.counter('admin_refused_total').cell({ reason }).add(1)
  }

  adminAnswered(result: 'ok' | 'denied' | 'invalid' | 'error'): void {
    this.#instruments.counter('admin_requests_total').cell({ result }).add(1)
  }

  /** Clients that were let in, and may not stay. */
  evicted(what: string, closed: number): void {
    this.#say('admin', 'info', { what, closed }, 'connected clients were closed')
  }

  clientConnected(facts: ConnectionFacts, session: 'clean' | 'new' | 'resumed'): void {
    this.#say(
      'client-connected',
      'debug',
      { ...lineOf(facts), session },
      'client connected',
      facts.network ?? facts.clientId,
    )
  }

  subscriptionRefused(facts: ConnectionFacts, filter: string, why: FilterRefusal): void {
    this.filtersRefused[why].add(1)
    const fields = (): object => ({ ...lineOf(facts), filter, why: WHY_REFUSED[why] })
    this.#say('subscription-refused', 'info', fields, 'subscription refused', facts.id)
  }

  /** Of the same SUBSCRIBE: named one by one they would be as long as the client likes. */
  subscriptionsRefused(facts: ConnectionFacts, filters: number): void {
    this.#say(
      'subscription-refused',
      'info',
      { ...lineOf(facts), filters },
      'more subscriptions of the same packet refused',
      facts.id,
    )
  }

  publishDenied(facts: ConnectionFacts, topic: string, qos: QoS): void {
    this.dropped('denied', qos)
    const fields = (): object => ({ ...lineOf(facts), topic })
    this.#say('publish-denied', 'info', fields, 'publish denied', facts.id)
  }

  /** What Redis has executed is not confirmed in time at the level of `BREAKWATER_ACK`; undefined: it is again. */
  acknowledgementsHeld(why: string | undefined): void {
    if (why === undefined) this.#say('redis', 'info', {}, 'Redis confirms writes again')
    else {
      this.#instruments.counter('store_unconfirmed_total').cell().add(1)
      if (!this.#held)
        this.#say(
          'redis',
          'warn',
          { why },
          'Redis does not confirm writes at the level of BREAKWATER_ACK; publishes stay unacknowledged',
        )
    }
    this.#held = why !== undefined
  }
  #held = false

  storeFailed(what: string, error: Error): void {
    // One cause of its own for each kind of work: what comes behind "of" is one client, or one filter.
    const [kind] = what.split(' of ', 1)
    this.#say('store', 'warn', { what, error: error.message }, 'the store did not answer', kind)
  }

  sessionsExpired(clientIds: readonly string[]): void {
    this.#say('sessions', 'info', { count: clientIds.length }, 'sessions expired')
  }

  /** A node is gone; those of its clients that left a will and were not back. Undefined: of some earlier one. */
  clientsAdopted(nodeId: string | undefined, wills: number): void {
    this.#say('sessions', 'info', { nodeId, wills }, 'took over the clients of a node that is gone')
  }

  /** A defect of this broker, seen where it cannot be told to anybody. */
  unexpected(what: string, error: unknown): void {
    this.#say('defect', 'error', { what, err: error }, 'unexpected error')
  }

  #say(kind: LogKind, level: LogLevel, facts: LineFacts, message: string, subject?: Subject): void {
    this.#log.say(kind, level, facts, message, subject)
  }
}
