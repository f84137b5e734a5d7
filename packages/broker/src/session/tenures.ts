import type { ClaimRefusal, FormerOwner, OpenedSession, Owner } from '@breakwater/store'
import type { Contender } from './contender.ts'
import type { TenureState } from './tenure.ts'

/** Undefined: the connection has ended, or another one has taken the client id. */
export type Outcome = OpenedSession | ClaimRefusal | undefined

export class Tenure implements Owner {
  readonly contender: Contender
  readonly clientId: string
  state: TenureState
  /** 0 until it is known. */
  epoch: number
  former: FormerOwner | undefined
  /** The highest epoch that has asked while the own one was not known. */
  heard = 0
  settle: ((outcome: Outcome | Error) => void) | undefined

  constructor(contender: Contender, state: TenureState, epoch: number) {
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

/** The tenures of a node by client id, and who waits for their end. */
export class Tenures {
  /** In the order of their claims: one, and for a short time more of them. */
  readonly #tenures = new Map<string, readonly Tenure[]>()
  readonly #takers = new Map<string, readonly Taker[]>()
  readonly #endings = new Map<Tenure, () => void>()

  /** Client ids. */
  get size(): number {
    return this.#tenures.size
  }

  all(): Tenure[] {
    return [...this.#tenures.values()].flat()
  }

  of(clientId: string): readonly Tenure[] {
    return this.#tenures.get(clientId) ?? []
  }

  add(tenure: Tenure): void {
    const { clientId } = tenure
    this.#tenures.set(clientId, [...this.of(clientId), tenure])
  }

  delete(tenure: Tenure): void {
    const { clientId } = tenure
    const others = this.of(clientId).filter((held) => held !== tenure)
    if (others.length === 0) this.#tenures.delete(clientId)
    else this.#tenures.set(clientId, others)
    this.settled(tenure)
    this.changed(clientId)
  }

  /** Resolves when this one is gone, or `settled` is said of it. */
  ending(tenure: Tenure): Promise<void> {
    if (tenure.state === 'gone') return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#endings.set(tenure, resolve)
    return promise
  }

  /** Nobody is to wait for it any longer. */
  settled(tenure: Tenure): void {
    this.#endings.get(tenure)?.()
    this.#endings.delete(tenure)
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
