/** `/api/v1/clients`: who is connected to this node. Bound: CLIENTS_MAX in one answer. */
import type { Connection } from '../connection/connection.ts'
import { ApiError, type ApiAnswer } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import { fromStore } from './from-store.ts'
import { readNamed } from './named.ts'

const CLIENTS_DEFAULT = 100
const CLIENTS_MAX = 1_000

/** What is known of the session of a connection. */
export interface ShownSession {
  readonly connection: Connection
  readonly persistent: boolean
  readonly filters: ReadonlyMap<string, unknown>
}

export interface ClientResourceOptions {
  /** In the order in which they came. */
  readonly connections: Iterable<Connection>
  readonly sessionOf: (clientId: string) => ShownSession | undefined
  /** Closes the client, wherever it is. @throws {Error} the store does not answer */
  readonly kick: (clientId: string) => Promise<'closed' | 'told' | 'unknown'>
  readonly onKick: (clientId: string) => void
}

export class ClientResource {
  readonly #options: ClientResourceOptions

  constructor(options: ClientResourceOptions) {
    this.#options = options
  }

  /** All, or the one that is named. */
  list(request: ApiRequest): ApiAnswer | Promise<ApiAnswer> {
    const { query } = request
    if (query['clientId'] !== undefined) {
      if (query['limit'] !== undefined || query['cursor'] !== undefined)
        throw new ApiError(400, 'limit and cursor have no effect beside clientId')
      return this.one(request)
    }
    const limit = numberIn(query, 'limit', CLIENTS_DEFAULT, CLIENTS_MAX)
    const after = numberIn(query, 'cursor', 0, Number.MAX_SAFE_INTEGER)
    const clients: object[] = []
    let last = 0
    for (const connection of this.#options.connections) {
      if (connection.id <= after) continue
      const session = this.#sessionOf(connection)
      if (session === undefined) continue
      if (clients.length === limit) return { status: 200, body: { clients, cursor: String(last) } }
      clients.push(shown(session))
      last = connection.id
    }
    return { status: 200, body: { clients, cursor: null } }
  }

  async one(request: ApiRequest): Promise<ApiAnswer> {
    const session = this.#options.sessionOf(await readNamed(request, 'clientId'))
    if (session === undefined) throw new ApiError(404, 'no such client is connected to this node')
    return { status: 200, body: shown(session) }
  }

  async kick(request: ApiRequest): Promise<ApiAnswer> {
    const clientId = await readNamed(request, 'clientId')
    const done = await fromStore(this.#options.kick(clientId))
    if (done === 'unknown') throw new ApiError(404, 'no such client is connected')
    this.#options.onKick(clientId)
    return { status: done === 'closed' ? 204 : 202 }
  }

  #sessionOf(connection: Connection): ShownSession | undefined {
    const session = this.#options.sessionOf(connection.clientId)
    return session?.connection === connection ? session : undefined
  }
}

function numberIn(query: ApiRequest['query'], name: string, fallback: number, max: number): number {
  const text = query[name]
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > max)
    throw new ApiError(400, `${name} must be a whole number from 1 to ${max}`)
  return value
}

function shown({ connection, persistent, filters }: ShownSession): object {
  const { clientId, user, listener, peer, openedAt, protocolLevel, keepAliveMs } = connection
  const { certificate, expiresAt } = connection
  return {
    clientId,
    username: user === '' ? null : user,
    listener,
    peer,
    since: new Date(Date.now() - (performance.now() - openedAt)).toISOString(),
    protocol: protocolLevel === 3 ? '3.1' : '3.1.1',
    keepAliveSeconds: keepAliveMs / 1_000,
    session: persistent ? 'persistent' : 'clean',
    subscriptions: filters.size,
    expires: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    certificate:
      certificate === undefined
        ? null
        : {
            serial: certificate.serial,
            fingerprint: certificate.fingerprint,
            notAfter: new Date(certificate.notAfterMs).toISOString(),
          },
  }
}
