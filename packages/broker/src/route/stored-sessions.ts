/**
 * The filters of all stored sessions of the cluster, connected anywhere or nowhere: who must find a QoS 1/2
 * message in its queue. Read from the store at the start, and session by session when the cluster's log says
 * that one has changed.
 */
import { isSharedFilter, type QoS } from '@breakwater/bus'
import type { SessionFilters, Store } from '@breakwater/store'
import { ForwardingTable, type Matches } from './forwarding-table.ts'
import type { SharedTable } from './shared-table.ts'

export interface StoredSession {
  matchStamp: number
  matchIndex: number
  readonly clientId: string
  /** Filters with QoS 1 or 2; QoS 0 is never queued. */
  readonly filters: Map<string, QoS>
}

export class StoredSessions {
  readonly #table: ForwardingTable<StoredSession>
  /** Has the shared ones: their messages are in queues of their own. */
  readonly #shared: SharedTable
  readonly #sessions = new Map<string, StoredSession>()

  constructor(shapesMax: number, shared: SharedTable) {
    this.#table = new ForwardingTable({ shapesMax })
    this.#shared = shared
  }

  get size(): number {
    return this.#sessions.size
  }

  has(clientId: string): boolean {
    return this.#sessions.has(clientId)
  }

  /** Shared ones with QoS 1 or 2. */
  sharedFilters(clientId: string): readonly string[] {
    const session = this.#sessions.get(clientId)
    return session === undefined ? [] : [...session.filters.keys()].filter(isSharedFilter)
  }

  match(topic: string): Matches<StoredSession> {
    return this.#table.match(topic)
  }

  /** Makes the table equal to the store, also in what the store no longer has. */
  async load(store: Store): Promise<void> {
    const gone = new Set(this.#sessions.keys())
    for await (const chunk of store.allFilters()) {
      for (const session of chunk) {
        gone.delete(session.clientId)
        this.replace(session)
      }
    }
    for (const clientId of gone) this.clear(clientId)
  }

  set(clientId: string, filter: string, qos: QoS): void {
    if (qos === 0) {
      this.delete(clientId, filter)
      return
    }
    let session = this.#sessions.get(clientId)
    if (session === undefined) {
      session = { matchStamp: 0, matchIndex: 0, clientId, filters: new Map() }
      this.#sessions.set(clientId, session)
    }
    session.filters.set(filter, qos)
    if (isSharedFilter(filter)) this.#shared.setStored(filter, clientId)
    else this.#table.set(filter, session, qos)
  }

  delete(clientId: string, filter: string): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined || !session.filters.delete(filter)) return
    this.#unroute(filter, session)
    if (session.filters.size === 0) this.#sessions.delete(clientId)
  }

  /** The session has ended. */
  clear(clientId: string): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return
    for (const filter of session.filters.keys()) this.#unroute(filter, session)
    this.#sessions.delete(clientId)
  }

  /** What the store says of a session. */
  replace({ clientId, subscriptions }: SessionFilters): void {
    const known = this.#sessions.get(clientId)
    if (known !== undefined) {
      const wanted = new Set(subscriptions.map(({ filter }) => filter))
      for (const filter of known.filters.keys())
        if (!wanted.has(filter)) this.delete(clientId, filter)
    }
    for (const { filter, qos } of subscriptions) this.set(clientId, filter, qos)
  }

  #unroute(filter: string, session: StoredSession): void {
    if (isSharedFilter(filter)) this.#shared.deleteStored(filter, session.clientId)
    else this.#table.delete(filter, session)
  }
}
