/**
 * The persistence that aedes is given: its subscription methods, on our store. Messages do not pass through
 * aedes, so its retained, outgoing and incoming methods stay empty; wills stay with the connection that
 * brought them.
 */
import { Readable } from 'node:stream'
import type { QoS } from '@breakwater/bus'
import type { Store, StoredSubscription } from '@breakwater/store'

export interface AedesSubscription {
  readonly topic: string
  readonly qos: QoS
}

interface ClientId {
  readonly id: string
}

export class AedesPersistence {
  readonly #store: Store
  /** Sessions that were just opened for a CONNECT that aedes is about to ask for. */
  readonly #opened = new Map<string, readonly StoredSubscription[]>()
  /** aedes stores a SUBSCRIBE once per filter, each time with all filters: the first call serves them all. */
  readonly #adding = new WeakMap<readonly AedesSubscription[], Promise<void>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** What the store said of this client when its session was opened: aedes need not ask again. */
  opened(clientId: string, subscriptions: readonly StoredSubscription[]): void {
    this.#opened.set(clientId, subscriptions)
  }

  /** Must be an async function: aedes looks at its constructor's name. */
  async setup(): Promise<void> {}

  async addSubscriptions(client: ClientId, subs: readonly AedesSubscription[]): Promise<void> {
    let adding = this.#adding.get(subs)
    if (adding === undefined) {
      const subscriptions = subs.map(({ topic, qos }) => ({ filter: topic, qos }))
      adding = this.#store.addSubscriptions(client.id, subscriptions)
      this.#adding.set(subs, adding)
    }
    await adding
  }

  async removeSubscriptions(client: ClientId, filters: readonly string[]): Promise<void> {
    await this.#store.removeSubscriptions(client.id, filters)
  }

  async subscriptionsByClient(client: ClientId): Promise<AedesSubscription[]> {
    const known = this.#takeOpened(client.id) ?? (await this.#store.subscriptions(client.id))
    return known.map(({ filter, qos }) => ({ topic: filter, qos }))
  }

  async cleanSubscriptions(client: ClientId): Promise<void> {
    // Opening a clean session has ended the stored one.
    if (this.#takeOpened(client.id) !== undefined) return
    const subscriptions = await this.#store.subscriptions(client.id)
    await this.#store.removeSubscriptions(
      client.id,
      subscriptions.map(({ filter }) => filter),
    )
  }

  #takeOpened(clientId: string): readonly StoredSubscription[] | undefined {
    const subscriptions = this.#opened.get(clientId)
    this.#opened.delete(clientId)
    return subscriptions
  }

  createRetainedStreamCombi(): Readable {
    return Readable.from([])
  }

  outgoingStream(): Readable {
    return Readable.from([])
  }

  async putWill(): Promise<void> {}

  async delWill(): Promise<void> {}

  async *streamWill(): AsyncIterable<never> {}

  async destroy(): Promise<void> {}
}
