/**
 * An operator wants a client closed, wherever it is, also while it is being let in. In: client ids, notices of other
 * nodes. Out: closes, notices.
 */
import type { Bus } from '@breakwater/bus'
import type { Owner, Store } from '@breakwater/store'
import type { Connection } from '../connection/connection.ts'
import type { Session } from './session.ts'

export interface KicksOptions {
  /** All of this node. */
  readonly connections: Iterable<Connection>
  /** Of this node, by client id. */
  readonly sessions: ReadonlyMap<string, Session>
  readonly store: Store
  readonly bus: Bus
  readonly cluster: { readonly others: readonly string[] }
}

export class Kicks {
  readonly #options: KicksOptions

  constructor(options: KicksOptions) {
    this.#options = options
  }

  /** `told`: another node has it, or had it a moment ago, and is told. @throws {Error} the store does not answer */
  async anywhere(clientId: string): Promise<'closed' | 'told' | 'unknown'> {
    const { store, bus, cluster } = this.#options
    const wasComing = this.#closeComing(clientId)
    if (this.#closeLive({ clientId, epoch: Infinity })) return 'closed'
    const [owner] = await store.replacedOwners([{ clientId, epoch: 0 }])
    // Where nobody has the client id, a client that asks for it may be being let in elsewhere.
    const notice = { kind: 'kicked', ...(owner ?? { clientId, epoch: 0 }) } as const
    await Promise.all(cluster.others.map((node) => bus.notify(node, notice)))
    if (wasComing) return 'closed'
    return owner === undefined ? 'unknown' : 'told'
  }

  /** Another node says so. `epoch`: whoever has come later stays. */
  notice(owner: Owner): void {
    this.#closeComing(owner.clientId)
    this.#closeLive(owner)
  }

  #closeLive({ clientId, epoch }: Owner): boolean {
    const session = this.#options.sessions.get(clientId)
    if (session === undefined || session.epoch > epoch) return false
    session.connection.close('kicked')
    return true
  }

  /** Those that have sent CONNECT and have no answer yet: a walk over all, which only an operator can ask for. */
  #closeComing(clientId: string): boolean {
    let wasComing = false
    for (const connection of this.#options.connections) {
      if (connection.clientId !== clientId || connection.answered || !connection.open) continue
      connection.close('kicked')
      wasComing = true
    }
    return wasComing
  }
}
