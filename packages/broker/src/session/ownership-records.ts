import type { ClaimRefusal, FormerOwner, OpenedSession, Owner } from '@breakwater/store'
import type { Contender } from './contender.ts'
import type { OwnershipState } from './ownership-table.ts'

/** Undefined: the connection has ended, or another one has taken the client id. */
export type Outcome = OpenedSession | ClaimRefusal | undefined

export class OwnershipRecord implements Owner {
  readonly contender: Contender
  readonly clientId: string
  state: OwnershipState
  /** 0 until it is known. */
  epoch: number
  former: FormerOwner | undefined
  /** The highest epoch that has asked while the own one was not known. */
  heard = 0
  settle: ((outcome: Outcome | Error) => void) | undefined

  constructor(contender: Contender, state: OwnershipState, epoch: number) {
    this.contender = contender
    this.clientId = contender.clientId
    this.state = state
    this.epoch = epoch
  }
}

interface Taker {
  readonly epoch: number
  readonly free: () => void
}

/** The ownership records of a node by client id, and who waits for their end. */
export class OwnershipRecords {
  /** In the order of their claims: one, and for a short time more of them. */
  readonly #records = new Map<string, readonly OwnershipRecord[]>()
  readonly #takers = new Map<string, readonly Taker[]>()
  readonly #endings = new Map<OwnershipRecord, () => void>()

  /** Client ids. */
  get size(): number {
    return this.#records.size
  }

  all(): OwnershipRecord[] {
    return [...this.#records.values()].flat()
  }

  of(clientId: string): readonly OwnershipRecord[] {
    return this.#records.get(clientId) ?? []
  }

  add(record: OwnershipRecord): void {
    const { clientId } = record
    this.#records.set(clientId, [...this.of(clientId), record])
  }

  delete(record: OwnershipRecord): void {
    const { clientId } = record
    const others = this.of(clientId).filter((held) => held !== record)
    if (others.length === 0) this.#records.delete(clientId)
    else this.#records.set(clientId, others)
    this.settled(record)
    this.changed(clientId)
  }

  /** Resolves when this one is gone, or `settled` is said of it. */
  ending(record: OwnershipRecord): Promise<void> {
    if (record.state === 'gone') return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#endings.set(record, resolve)
    return promise
  }

  /** Nobody is to wait for it any longer. */
  settled(record: OwnershipRecord): void {
    this.#endings.get(record)?.()
    this.#endings.delete(record)
  }

  /** Resolves when nothing with a lower epoch is left here. */
  cleared(clientId: string, epoch: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#takers.set(clientId, [...(this.#takers.get(clientId) ?? []), { epoch, free: resolve }])
    this.changed(clientId)
    return promise
  }

  /** An epoch has become known: it may be higher than that of somebody who waits. */
  changed(clientId: string): void {
    const takers = this.#takers.get(clientId)
    if (takers === undefined) return
    // An epoch of 0 is not known yet: it may be lower.
    const lowest = Math.min(...this.of(clientId).map(({ epoch }) => epoch))
    const waiting = takers.filter(({ epoch }) => epoch > lowest)
    if (waiting.length === 0) this.#takers.delete(clientId)
    else this.#takers.set(clientId, waiting)
    for (const { epoch, free } of takers) if (epoch <= lowest) free()
  }
}
