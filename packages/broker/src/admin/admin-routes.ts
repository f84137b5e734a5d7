/**
 * The admin API with what it acts on. Composition, like node.ts. The token is read again when its file changes;
 * a file that is no token is not used, and the one before stays.
 */
import type { Cluster } from '@breakwater/cluster'
import type { Config, Limits } from '@breakwater/config'
import type { AdminBounds } from '@breakwater/metrics'
import type { Store } from '@breakwater/store'
import type { TokenDigest } from './admin-access.ts'
import { AdminApi } from './admin-api.ts'
import { ClientResource } from './client-resource.ts'
import { RetainedResource } from './retained-resource.ts'
import { RevocationResource } from './revocation-resource.ts'
import { SessionResource } from './session-resource.ts'
import type { Connection } from '../connection/connection.ts'
import type { Events } from '../observe/events.ts'
import { keepFile, type GoodFile } from '../files/kept-file.ts'
import type { Revocations } from '../revocation/revocations.ts'
import { clearRetained } from '../retained/retained-clearing.ts'
import type { Router } from '../route/router.ts'
import type { SessionLifecycle } from '../lifecycle/session-lifecycle.ts'
import type { WatchedFiles } from '../files/watched-files.ts'

export interface AdminRoutesOptions {
  readonly config: Config
  readonly token: GoodFile<TokenDigest> | undefined
  readonly watched: WatchedFiles
  readonly events: Events
  readonly nodeId: string
  readonly cluster: Cluster
  readonly store: Store
  readonly connections: Iterable<Connection>
  readonly router: Router
  readonly sessions: SessionLifecycle
  readonly revocations: Revocations
}

export class AdminRoutes implements Disposable {
  readonly routes: readonly AdminApi[]
  readonly #file: Disposable | undefined

  constructor(options: AdminRoutesOptions) {
    const { config, events, nodeId, cluster, store } = options
    const { connections, router, sessions, revocations } = options
    const file =
      options.token === undefined ? undefined : keepFile(events, options.watched, options.token)
    this.#file = file
    const api = new AdminApi({
      token: () => file?.current,
      nodes: async () =>
        (await cluster.nodes())
          .toSorted((one, other) => one.sinceMs - other.sinceMs)
          .map(({ id, version, sinceMs, connections: count }) => ({
            id,
            version,
            since: new Date(sinceMs).toISOString(),
            connections: count,
            answering: id === nodeId,
          })),
      clients: new ClientResource({
        connections,
        sessionOf: (clientId) => router.sessions.get(clientId),
        kick: (clientId) => sessions.kick(clientId),
        onKick: (clientId) => events.changedByAdmin('client-closed', clientId),
      }),
      sessions: new SessionResource({
        factsOf: (clientId) => store.sessionFacts(clientId),
        end: (clientId) => sessions.endStored(clientId),
        onEnd: (clientId) => events.changedByAdmin('session-ended', clientId),
      }),
      retained: new RetainedResource({
        clear: (filter) => clearRetained(filter, { cluster, router }),
        onClear: (filter) => events.changedByAdmin('retained-cleared', filter),
      }),
      revocations: new RevocationResource({
        revocations,
        survivesRestart: config.redis !== undefined,
        onChange: (what, id, reason) => events.changedByAdmin(`revocation-${what}`, id, reason),
      }),
      onAnswer: (result) => events.adminAnswered(result),
      onFault: (error) => events.storeFailed('admin API', error),
      onDefect: (error) => events.unexpected('admin API', error),
    })
    this.routes = [api]
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]()
  }
}

/** What the admin server may use. */
export function adminBounds(limits: Limits): AdminBounds {
  return {
    connectionsMax: limits.adminConnectionsMax,
    connectionsPerAddressMax: limits.adminConnectionsPerAddressMax,
    idleTimeoutMs: limits.adminIdleTimeoutMs,
    requestTimeoutMs: limits.adminRequestTimeoutMs,
  }
}
