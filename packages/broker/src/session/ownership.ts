/**
 * One owner per client id [MQTT-3.1.4-2]: claimed after authentication, with a fencing epoch from the store.
 *
 * | the owner so far is | what happens |
 * |---|---|
 * | nobody | the claim is granted |
 * | on this node | it is not read any more, finishes what it has received, is closed with `taken-over`, then the claim is granted; after `takeOverTimeoutMs` it is closed as it is |
 * | on another node | the claim is granted with a higher epoch; the other node hears of it and closes its connection the same way |
 *
 * A notice with a lower epoch than the owner's is late, and means nothing.
 */
import type { Bus } from '@breakwater/bus'
import type { OpenedSession, Store } from '@breakwater/store'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../hold.ts'

export interface Owner {
  readonly connection: Connection
  readonly epoch: number
  /** Resolves when everything received so far has taken effect. */
  drained: () => Promise<void>
  /** Resolves when the connection has ended and its will is on its way. */
  readonly ended: Promise<void>
}

export class Ownership {
  readonly #store: Store
  readonly #bus: Bus
  readonly #takeOverTimeoutMs: number
  readonly #owners = new Map<string, Owner>()
  /** Claims of one client id come one after the other. */
  readonly #claims = new Map<string, Promise<unknown>>()

  constructor(parts: { store: Store; bus: Bus; takeOverTimeoutMs: number }) {
    this.#store = parts.store
    this.#bus = parts.bus
    this.#takeOverTimeoutMs = parts.takeOverTimeoutMs
  }

  /** Undefined if the connection ended while it waited. */
  async claim(
    clientId: string,
    connection: Connection,
    persistent: boolean,
    ended: Promise<void>,
  ): Promise<{ opened: OpenedSession; owner: Owner } | undefined> {
    const before = this.#claims.get(clientId)
    const claim = this.#claimNext(before, clientId, connection, persistent, ended)
    const settled = claim.catch(() => undefined)
    this.#claims.set(clientId, settled)
    try {
      return await claim
    } finally {
      if (this.#claims.get(clientId) === settled) this.#claims.delete(clientId)
    }
  }

  /** The owner's connection has ended. */
  release(clientId: string, connection: Connection): void {
    if (this.#owners.get(clientId)?.connection === connection) this.#owners.delete(clientId)
  }

  /** Another node says that it has the client id. */
  async lost(clientId: string, epoch: number): Promise<void> {
    const owner = this.#owners.get(clientId)
    if (owner !== undefined && owner.epoch < epoch) await this.#end(owner)
  }

  async #claimNext(
    before: Promise<unknown> | undefined,
    clientId: string,
    connection: Connection,
    persistent: boolean,
    ended: Promise<void>,
  ): Promise<{ opened: OpenedSession; owner: Owner } | undefined> {
    await before
    const former = this.#owners.get(clientId)
    if (former !== undefined) await this.#end(former)
    if (!connection.open) return undefined
    const opened = await this.#store.openSession(clientId, persistent)
    if (!connection.open) return undefined
    const owner: Owner = { connection, epoch: opened.epoch, drained: async () => {}, ended }
    this.#owners.set(clientId, owner)
    // Should the notice be lost, the other owner's writes still carry the lower epoch.
    if (this.#bus.clustered)
      this.#bus.notify({ kind: 'taken-over', clientId, epoch: opened.epoch }).catch(() => undefined)
    return { opened, owner }
  }

  async #end(owner: Owner): Promise<void> {
    owner.connection.hold(Hold.CONTROL)
    await this.#bounded(owner.drained())
    owner.connection.close('taken-over')
    await this.#bounded(owner.ended)
  }

  async #bounded(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#takeOverTimeoutMs)
    })
    await Promise.race([work, timeout])
    clearTimeout(timer)
  }
}
