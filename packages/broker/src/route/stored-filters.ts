/**
 * The filters of all stored sessions of the cluster, connected anywhere or nowhere: who must find a QoS 1/2
 * message in its queue. Read from the store at the start, and session by session when the cluster's log says
 * that one has changed. Filters with QoS 1 or 2 only; QoS 0 is never queued.
 */
import { isSharedFilter, type QoS } from '@breakwater/mqtt'
import type { QueueAppend, SessionFilters, Store } from '@breakwater/store'
import { FilterTable, StoredPool, type StoredMatches } from '@breakwater/matching'
import type { SharedTable } from '../shared/shared-table.ts'

const NO_FILTERS: ReadonlySet<string> = new Set()

export class StoredFilters {
  readonly #pool = new StoredPool()
  readonly #table: FilterTable<number, StoredMatches>
  /** By client id: what the pool and the table know the session by. */
  readonly #sessions = new Map<string, number>()
  /** Has the shared filters: their messages are in queues of their own. */
  readonly #shared: SharedTable
  /** Those by client id. */
  readonly #sharedFilters = new Map<string, Set<string>>()

  constructor(shapesMax: number, shared: SharedTable) {
    this.#table = new FilterTable(this.#pool, { shapesMax })
    this.#shared = shared
  }

  get size(): number {
    return this.#sessions.size
  }

  has(clientId: string): boolean {
    return this.#sessions.has(clientId)
  }

  sharedFilters(clientId: string): readonly string[] {
    return [...(this.#sharedFilters.get(clientId) ?? NO_FILTERS)]
  }

  /** Whether any session gets messages of this topic. */
  wants(topic: string): boolean {
    return this.#table.match(topic).targets.length > 0
  }

  /** The queues that get a message of this topic and QoS. */
  queues(topic: string, qos: 1 | 2): readonly QueueAppend[] {
    return this.#pool.queues(this.#table.match(topic), qos)
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
      session = this.#pool.openSession(clientId)
      this.#sessions.set(clientId, session)
    }
    if (isSharedFilter(filter)) this.#addShared(clientId, filter)
    else this.#table.set(filter, session, qos)
  }

  delete(clientId: string, filter: string): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return
    if (isSharedFilter(filter)) this.#deleteShared(clientId, filter)
    else this.#table.delete(filter, session)
    if (this.#pool.hasFilters(session) || this.#sharedFilters.has(clientId)) return
    this.#sessions.delete(clientId)
    this.#pool.closeSession(session)
  }

  /** The session has ended. */
  clear(clientId: string): void {
    for (const filter of this.#filtersOf(clientId)) this.delete(clientId, filter)
  }

  /** What the store says of a session. */
  replace({ clientId, subscriptions }: SessionFilters): void {
    const known = this.#filtersOf(clientId)
    if (known.length > 0) {
      const wanted = new Set(subscriptions.map(({ filter }) => filter))
      for (const filter of known) if (!wanted.has(filter)) this.delete(clientId, filter)
    }
    for (const { filter, qos } of subscriptions) this.set(clientId, filter, qos)
  }

  /** What the store says of these filters of a session. */
  update(filters: readonly string[], { clientId, subscriptions }: SessionFilters): void {
    const held = new Set(subscriptions.map(({ filter }) => filter))
    for (const filter of filters) if (!held.has(filter)) this.delete(clientId, filter)
    for (const { filter, qos } of subscriptions) this.set(clientId, filter, qos)
  }

  #filtersOf(clientId: string): readonly string[] {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return []
    return [...this.#pool.filtersOf(session), ...this.sharedFilters(clientId)]
  }

  #addShared(clientId: string, filter: string): void {
    const filters = this.#sharedFilters.get(clientId) ?? new Set()
    this.#sharedFilters.set(clientId, filters.add(filter))
    this.#shared.setStored(filter, clientId)
  }

  #deleteShared(clientId: string, filter: string): void {
    const filters = this.#sharedFilters.get(clientId)
    if (filters === undefined || !filters.delete(filter)) return
    if (filters.size === 0) this.#sharedFilters.delete(clientId)
    this.#shared.deleteStored(filter, clientId)
  }
}
