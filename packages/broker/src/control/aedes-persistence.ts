/**
 * The persistence that aedes is given. It says what a session had subscribed to when it was opened; what is
 * stored is stored by the session's owner, with its epoch. Messages do not pass through aedes, so its
 * retained, outgoing and incoming methods stay empty; wills stay with the connection that brought them.
 */
import { Readable } from 'node:stream'
import type { QoS } from '@breakwater/mqtt'
import type { StoredSubscription } from '@breakwater/store'

export interface AedesSubscription {
  readonly topic: string
  readonly qos: QoS
}

interface ClientId {
  readonly id: string
}

export class AedesPersistence {
  #opened:
    | { readonly clientId: string; readonly subscriptions: readonly StoredSubscription[] }
    | undefined

  /** What the store said of this client when its session was opened; aedes asks for it while `go` runs. */
  during<T>(clientId: string, subscriptions: readonly StoredSubscription[], go: () => T): T {
    this.#opened = { clientId, subscriptions }
    try {
      return go()
    } finally {
      this.#opened = undefined
    }
  }

  /** Must be an async function: aedes looks at its constructor's name. */
  async setup(): Promise<void> {}

  async addSubscriptions(): Promise<void> {}

  async removeSubscriptions(): Promise<void> {}

  async subscriptionsByClient(client: ClientId): Promise<AedesSubscription[]> {
    if (this.#opened?.clientId !== client.id) throw new Error('aedes asked too late')
    return this.#opened.subscriptions.map(({ filter, qos }) => ({ topic: filter, qos }))
  }

  /** Opening a clean session has ended the stored one. */
  async cleanSubscriptions(): Promise<void> {}

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
