/**
 * One owner per client id [MQTT-3.1.4-2]: claimed after authentication, with a fencing epoch from the store.
 *
 * | the owner so far is | what happens |
 * |---|---|
 * | nobody | the claim is granted |
 * | on this node | it is not read any more, finishes what it has received, is closed with `taken-over`, then the claim is granted; after `takeOverTimeoutMs` it is closed as it is |
 * | on another node | the claim is granted with a higher epoch; the other node hears of it and closes its connection the same way |
 * | claimed on another node at the same time | the higher epoch stays, whichever claim or notice comes first |
 *
 * A notice with a lower epoch than the owner's comes from a node that does not know better: it is answered.
 */
import type { Bus } from '@breakwater/bus'
import type { OpenedSession, Store } from '@breakwater/store'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../hold.ts'

/** Notices that are under way at once when everything is announced again. */
const ANNOUNCE_BATCH = 100

export interface Owner {
  readonly connection: Connection
  readonly user: string
  readonly epoch: number
  /** Resolves when everything received so far has taken effect. */
  drained: () => Promise<void>
  /** Resolves when the connection has ended and its will is on its way. */
  readonly ended: Promise<void>
}

export interface Claim {
  readonly opened: OpenedSession
  readonly owner: Owner
}

export class Ownership {
  readonly #store: Store
  readonly #bus: Bus
  readonly #takeOverTimeoutMs: number
  readonly #openTimeoutMs: number
  readonly #owners = new Map<string, Owner>()
  /** Claims of one client id come one after the other. */
  readonly #claims = new Map<string, Promise<unknown>>()
  /** The highest epoch that another node has announced of a client id while it is claimed here. */
  readonly #heard = new Map<string, number>()

  constructor(parts: { store: Store; bus: Bus; takeOverTimeoutMs: number; openTimeoutMs: number }) {
    this.#store = parts.store
    this.#bus = parts.bus
    this.#takeOverTimeoutMs = parts.takeOverTimeoutMs
    this.#openTimeoutMs = parts.openTimeoutMs
  }

  /**
   * Undefined if the connection ended while it waited. The session, and the connection, of another user stay
   * as they are.
   *
   * @throws {Error} the store does not answer
   */
  async claim(
    clientId: string,
    connection: Connection,
    persistent: boolean,
    ended: Promise<void>,
    user: string,
  ): Promise<Claim | 'another-user' | undefined> {
    const before = this.#claims.get(clientId)
    const claim = this.#claimNext(before, clientId, connection, persistent, ended, user)
    const settled = claim.catch(() => undefined)
    this.#claims.set(clientId, settled)
    try {
      return await claim
    } finally {
      if (this.#claims.get(clientId) === settled) {
        this.#claims.delete(clientId)
        this.#heard.delete(clientId)
      }
    }
  }

  /** The owner's connection has ended. */
  release(clientId: string, connection: Connection): void {
    if (this.#owners.get(clientId)?.connection === connection) this.#owners.delete(clientId)
  }

  /** Another node says that it has the client id. */
  async lost(clientId: string, epoch: number): Promise<void> {
    if (this.#claims.has(clientId))
      this.#heard.set(clientId, Math.max(epoch, this.#heard.get(clientId) ?? 0))
    const owner = this.#owners.get(clientId)
    if (owner === undefined) return
    if (owner.epoch < epoch) await this.#end(owner)
    else await this.#announce(clientId, owner.epoch)
  }

  /** Notices may have been missed: whoever has taken a client id meanwhile answers. */
  async resync(): Promise<void> {
    const owners = [...this.#owners]
    while (owners.length > 0) {
      const batch = owners.splice(0, ANNOUNCE_BATCH)
      await Promise.all(batch.map(([clientId, { epoch }]) => this.#announce(clientId, epoch)))
    }
  }

  async #claimNext(
    before: Promise<unknown> | undefined,
    clientId: string,
    connection: Connection,
    persistent: boolean,
    ended: Promise<void>,
    user: string,
  ): Promise<Claim | 'another-user' | undefined> {
    await before
    const former = this.#owners.get(clientId)
    if (former !== undefined && former.user !== user) return 'another-user'
    if (former !== undefined) await this.#end(former)
    if (!connection.open) return undefined
    const opened = await this.#open(clientId, persistent, user)
    if (opened === 'another-user') return opened
    if ((this.#heard.get(clientId) ?? 0) > opened.epoch) connection.close('taken-over')
    if (!connection.open) return undefined
    const owner: Owner = { connection, user, epoch: opened.epoch, drained: async () => {}, ended }
    this.#owners.set(clientId, owner)
    void this.#announce(clientId, opened.epoch)
    return { opened, owner }
  }

  async #open(
    clientId: string,
    persistent: boolean,
    user: string,
  ): Promise<OpenedSession | 'another-user'> {
    const opened = await withTimeout(
      this.#store.openSession(clientId, persistent, user),
      this.#openTimeoutMs,
    )
    if (opened === undefined) throw new Error(`no answer within ${this.#openTimeoutMs} ms`)
    return opened
  }

  /** A notice that is lost is made up for by `resync`. */
  async #announce(clientId: string, epoch: number): Promise<void> {
    if (!this.#bus.clustered) return
    await this.#bus.notify({ kind: 'taken-over', clientId, epoch }).catch(() => undefined)
  }

  async #end(owner: Owner): Promise<void> {
    owner.connection.hold(Hold.CONTROL)
    await withTimeout(owner.drained(), this.#takeOverTimeoutMs)
    owner.connection.close('taken-over')
    await withTimeout(owner.ended, this.#takeOverTimeoutMs)
  }
}

/** Undefined if it took longer. */
async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
