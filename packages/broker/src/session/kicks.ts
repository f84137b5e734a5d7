/** An operator wants a client closed, wherever it is. In: client ids, notices of other nodes. Out: closes, notices. */
import type { Connection } from '../connection/connection.ts'
import type { Bus } from '@breakwater/bus'
import type { Owner, Store } from '@breakwater/store'
import type { Session } from './session.ts'

export interface KicksOptions {
  /** Of this node, by client id. */
  readonly sessions: ReadonlyMap<string, Session>
  /** All of this node: a client that is still connecting has no session yet. */
  readonly connections: ReadonlySet<Connection>
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
    if (this.here({ clientId, epoch: Infinity })) return 'closed'
    const { store, bus, cluster } = this.#options
    const [owner] = await store.replacedOwners([{ clientId, epoch: 0 }])
    if (owner === undefined) return 'unknown'
    const notice = { kind: 'kicked', ...owner } as const
    await Promise.all(cluster.others.map((node) => bus.notify(node, notice)))
    return 'told'
  }

  /** Whether it was here. */
  here({ clientId, epoch }: Owner): boolean {
    const { sessions, connections } = this.#options
    let isConnecting = false
    for (const connection of connections) {
      if (connection.clientId !== clientId || connection.answered || !connection.open) continue
      connection.close('kicked')
      isConnecting = true
    }
    const session = sessions.get(clientId)
    if (session === undefined || session.epoch > epoch) return isConnecting
    session.connection.close('kicked')
    return true
  }
}
