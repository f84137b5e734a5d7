/**
 * Whether those who are connected may stay, and those who have waited for their session may still come in. What let them in may end while they are here: their certificate,
 * its authority, or the patience of an operator. In: a connection that begins or whose session goes live, a
 * change of revocations or of trust. Out: closed connections, each with its reason. Bounds: `certificateExpirySpreadMs`; those of
 * `evict`.
 */
import type { Bus } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Limits } from '@breakwater/config'
import type { RevocationStep, Store } from '@breakwater/store'
import type { AccessRules } from '../access/access-rules.ts'
import type { ClientTrust } from '@breakwater/certificates'
import type { Connection } from '../connection/connection.ts'
import { evict, type Eviction } from '../connection/eviction.ts'
import type { Events } from '../observe/events.ts'
import { Revocations } from './revocations.ts'
import type { Session } from '../session/session.ts'

export interface RevocationEnforcementOptions {
  readonly limits: Pick<
    Limits,
    'revocationsMax' | 'revocationsBytesMax' | 'certificateExpirySpreadMs'
  >
  readonly connections: ReadonlySet<Connection>
  readonly events: Events
}

/** Where revocations are kept, and by which way other nodes are told. */
export interface RevocationEnforcementSource {
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
}

export class RevocationEnforcement implements Disposable {
  readonly revocations: Revocations
  readonly #options: RevocationEnforcementOptions
  /** By listener, once its files have changed. */
  readonly #trusts = new Map<string, ClientTrust>()

  constructor(options: RevocationEnforcementOptions) {
    const { limits, events } = options
    this.#options = options
    this.revocations = new Revocations({
      entriesMax: limits.revocationsMax,
      bytesMax: limits.revocationsBytesMax,
      enforce: () => this.#revoked(),
      onChange: (entries) => events.revocationsChanged(entries),
      onFault: (error) => events.storeFailed('revocations', error),
    })
  }

  /** Resolves when the revocations of the store are in force. @throws {Error} it does not answer */
  async start({ store, bus, cluster }: RevocationEnforcementSource): Promise<void> {
    const tell = (step: RevocationStep): void => {
      // Lost, it is found at the next look at the store.
      for (const node of cluster.others)
        bus.notify(node, { kind: 'revocation', ...step }).catch(() => undefined)
    }
    await this.revocations.start({ store: store.revocations, tell })
  }

  [Symbol.dispose](): void {
    this.revocations[Symbol.dispose]()
  }

  /**
   * Behind TLS and a WebSocket, before CONNECT: who is revoked is told by CONNACK. What changes from here on is asked
   * of it like of the others.
   */
  begins(connection: Connection, trust: ClientTrust | undefined): void {
    const { certificate } = connection
    if (certificate === undefined) return
    const { certificateExpirySpreadMs: spreadMs } = this.#options.limits
    const refusal = refusalBy(trust, connection)
    if (refusal !== undefined) connection.close('certificate-refused', refusal)
    else if (certificate.expires)
      connection.expire(certificate.notAfterMs + Math.random() * spreadMs, 'certificate-expired')
  }

  /**
   * Asked as the session of a connection goes live: it may have waited for it, and an end that is due is otherwise
   * seen at the next sweep only.
   */
  refusalNow(connection: Connection): Eviction | undefined {
    const { expiresAt, expiryReason, listener } = connection
    if (expiresAt !== undefined && expiresAt <= Date.now())
      return { reason: expiryReason, detail: 'while it waited for its session' }
    const revocation = this.revocations.find(connection)
    if (revocation !== undefined) return { reason: 'revoked', detail: revocation.id }
    const refusal = refusalBy(this.#trusts.get(listener), connection)
    return refusal === undefined ? undefined : { reason: 'revoked', detail: refusal }
  }

  /** The authorities or revocation lists of a listener have changed. */
  async trustChanged(listener: string, trust: ClientTrust): Promise<void> {
    const { connections, events } = this.#options
    this.#trusts.set(listener, trust)
    const closed = await evict(connections, (connection) => {
      if (connection.listener !== listener) return undefined
      const refusal = refusalBy(trust, connection)
      return refusal === undefined ? undefined : { reason: 'revoked', detail: refusal }
    })
    if (closed > 0) events.evicted('revocation list or authorities', closed)
  }

  /** The access rules have changed. A client that holds what it may not have any more is told by the close. */
  rulesChanged(rules: AccessRules, sessions: Iterable<Session>): void {
    for (const { permissions, filters, connection } of sessions) {
      permissions?.renew(rules)
      // Left in place it would be published by other nodes, which do not know the rules of its client.
      const will = permissions?.deniedWill
      if (will !== undefined) connection.close('access-revoked', `will to ${will}`)
      for (const filter of filters.keys())
        if (permissions?.subscribe(filter) === false) connection.close('access-revoked', filter)
    }
  }

  /** Resolves with how many were closed because they are revoked. */
  async #revoked(): Promise<number> {
    const { connections, events } = this.#options
    const closed = await evict(connections, (connection) => {
      const revocation = this.revocations.find(connection)
      return revocation && { reason: 'revoked', detail: revocation.id }
    })
    if (closed > 0) events.evicted('revocation', closed)
    return closed
  }
}

/** Dates are those of the day on which it came: an end that comes by itself has a reason of its own. */
function refusalBy(
  trust: ClientTrust | undefined,
  { certificate, openedAt }: Connection,
): string | undefined {
  if (certificate === undefined || trust === undefined || certificate.trust === trust)
    return undefined
  const leaf = certificate.leaf()
  const cameMs = Date.now() - (performance.now() - openedAt)
  return leaf && trust.refusal(leaf, cameMs)
}
