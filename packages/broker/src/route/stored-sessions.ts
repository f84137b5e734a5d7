/**
 * The filters of all stored sessions of the cluster, connected anywhere or nowhere: who must find a QoS 1/2
 * message in its queue. Read from the store at the start, kept by notices from other nodes, read again when
 * notices may have been missed.
 */
import type { Notice, QoS } from '@breakwater/bus'
import type { SessionFilters, Store } from '@breakwater/store'
import { ForwardingTable, type Matches } from './forwarding-table.ts'

export interface StoredSession {
  matchStamp: number
  matchIndex: number
  readonly clientId: string
  /** Filters with QoS 1 or 2; QoS 0 is never queued. */
  readonly filters: Map<string, QoS>
}

/** In a notice: this filter is gone. */
const REMOVED = -1

export class StoredSessions {
  readonly #table: ForwardingTable<StoredSession>
  readonly #sessions = new Map<string, StoredSession>()

  constructor(shapesMax: number) {
    this.#table = new ForwardingTable({ shapesMax })
  }

  get size(): number {
    return this.#sessions.size
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
        this.#replace(session)
      }
    }
    for (const clientId of gone) this.clear(clientId)
  }

  apply(notice: Notice & { kind: 'filters' }): void {
    for (const [filter, qos] of notice.changes) {
      if (qos === REMOVED) this.delete(notice.clientId, filter)
      else this.set(notice.clientId, filter, qos as QoS)
    }
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
    this.#table.set(filter, session, qos)
  }

  delete(clientId: string, filter: string): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined || !session.filters.delete(filter)) return
    this.#table.delete(filter, session)
    if (session.filters.size === 0) this.#sessions.delete(clientId)
  }

  /** The session has ended. Returns the filters that it had. */
  clear(clientId: string): readonly string[] {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return []
    const filters = [...session.filters.keys()]
    for (const filter of filters) this.#table.delete(filter, session)
    this.#sessions.delete(clientId)
    return filters
  }

  #replace({ clientId, subscriptions }: SessionFilters): void {
    const known = this.#sessions.get(clientId)
    if (known !== undefined) {
      const wanted = new Set(subscriptions.map(({ filter }) => filter))
      for (const filter of known.filters.keys())
        if (!wanted.has(filter)) this.delete(clientId, filter)
    }
    for (const { filter, qos } of subscriptions) this.set(clientId, filter, qos)
  }
}
