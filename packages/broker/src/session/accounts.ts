/**
 * For whom the bounds per user are counted at this node: a user whom something has proved, or, of those who are
 * nobody in particular, everybody at one client address (one IPv6 /64); where addresses are not known to be the
 * clients' own, all who are nobody together.
 *
 * In: clients that have logged in, and their ends. Bounds: `connectionsPerUserMax` of a user or an address; an
 * account is there while it has a connection.
 */
import type { Limits } from '@breakwater/config'

export interface Account {
  /** `u<user>`, `a<address>`, or nothing. */
  readonly name: string
  connections: number
  /** QoS 2 publishes of its connections that are not released. */
  inboundBytes: number
}

interface Client {
  /** Nothing of one who is nobody in particular. */
  readonly user: string
  /** The network of its address, where that is known. */
  readonly network: string | undefined
}

export class Accounts {
  readonly #limits: Pick<Limits, 'connectionsPerUserMax'>
  readonly #accounts = new Map<string, Account>()

  constructor(limits: Pick<Limits, 'connectionsPerUserMax'>) {
    this.#limits = limits
  }

  get size(): number {
    return this.#accounts.size
  }

  /** One connection more of its account. `replaces`: one of them ends for it. Undefined: that would be too many. */
  enter(client: Client, replaces: boolean): Account | undefined {
    const name = accountOf(client)
    const account = this.#accounts.get(name) ?? { name, connections: 0, inboundBytes: 0 }
    // Whom nothing tells apart `connectionsMax` bounds.
    const isFull = name !== '' && account.connections >= this.#limits.connectionsPerUserMax
    if (isFull && !replaces) return undefined
    this.#accounts.set(name, account)
    account.connections += 1
    return account
  }

  leave(account: Account): void {
    account.connections -= 1
    if (account.connections === 0) this.#accounts.delete(account.name)
  }
}

function accountOf({ user, network }: Client): string {
  if (user !== '') return `u${user}`
  return network === undefined ? '' : `a${network}`
}
