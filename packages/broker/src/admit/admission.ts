/**
 * Who of those at the door is let in now. `net.Server` cannot stop accepting, so a new socket is held as the
 * kernel gave it: not read, without TLS. Each turn of the event loop begins with a few of them, in their order;
 * so a crowd costs those who are in a bounded part of every turn, however large it is.
 *
 * In: accepted sockets, and what becomes of them. Out: `begin` or `shed`. Bounds: `heldMax` sockets for
 * `heldTimeoutMs`; `beginsPerTurnMax`, `handshakesMax`, `unansweredMax` and `connectsPerSecondMax` for those
 * that are begun; `connectionsMax` for all; while the event loop is later than `loopDelayMaxMs` whoever comes is
 * closed at once. One timer for all deadlines, and only while somebody is held.
 */
import type { Limits } from '@breakwater/config'
import { TokenBucket } from './token-bucket.ts'
import { AddressRate } from './address-rate.ts'
import type { LoopDelay } from './loop-delay.ts'
import { Visit, VisitStage, type Moved, type Visitor } from './visit.ts'

export interface AdmissionOptions {
  readonly limits: Limits
  /** Of the limit with this name what the system allows. */
  readonly connectionsMax: number
  readonly loopDelay: LoopDelay
}

const CHECK_MS = 100

export class Admission implements Disposable {
  readonly connectionsMax: number
  readonly #limits: Limits
  readonly #loopDelay: LoopDelay
  readonly #rate: TokenBucket | undefined
  readonly #addresses: AddressRate | undefined
  /** In the order in which they came. */
  readonly #held = new Map<Visit, Visitor>()
  /** Sockets by stage, of those that were begun. */
  readonly #counts = { 1: 0, 2: 0, 3: 0 }
  #turnAsked = false
  /** No token before then. */
  #tokenAt = 0
  #check: NodeJS.Timeout | undefined
  #stopped = false

  constructor({ limits, connectionsMax, loopDelay }: AdmissionOptions) {
    this.#limits = limits
    this.connectionsMax = connectionsMax
    this.#loopDelay = loopDelay
    this.#rate = TokenBucket.of(limits.connectsPerSecondMax)
    const perAddress = limits.connectsPerAddressPerSecondMax
    this.#addresses = perAddress === 0 ? undefined : new AddressRate(perAddress)
  }

  get held(): number {
    return this.#held.size
  }

  get handshakes(): number {
    return this.#counts[VisitStage.HANDSHAKE]
  }

  /** Those who can speak MQTT and have no CONNACK. */
  get unanswered(): number {
    return this.#counts[VisitStage.UNANSWERED]
  }

  /** All that are open here. */
  get connections(): number {
    return this.held + this.handshakes + this.unanswered + this.#counts[VisitStage.IN]
  }

  get loopDelayMs(): number {
    return this.#loopDelay.ms
  }

  /** For a socket that is new; `arrive` follows. */
  visit(): Visit {
    return new Visit(this.#moved)
  }

  /** It is held until it is begun with or shed, in this turn or a later one; or it is shed at once. */
  arrive(visit: Visit, visitor: Visitor): void {
    const { connections, held } = this
    const { heldMax, loopDelayMaxMs } = this.#limits
    const lateMs = this.#loopDelay.ms
    if (this.#stopped) visitor.shed('shutting-down', 'the node stops')
    else if (connections >= this.connectionsMax)
      visitor.shed('connections-full', `${connections} connections`)
    else if (lateMs > loopDelayMaxMs)
      visitor.shed('overloaded', `the event loop is ${Math.round(lateMs)} ms late`)
    else if (held >= heldMax) visitor.shed('held-full', `${held} are held`)
    else {
      this.#held.set(visit, visitor)
      this.#askTurn()
      this.#check ??= setInterval(() => this.#expire(), CHECK_MS).unref()
    }
  }

  /** Whether a client at this site may begin now. */
  takes(site: string): boolean {
    return this.#addresses?.takes(site, performance.now()) ?? true
  }

  /** Who is held is shed, and whoever still comes. */
  stop(): void {
    this.#stopped = true
    for (const [visit, visitor] of this.#held) {
      this.#held.delete(visit)
      visitor.shed('shutting-down', 'the node stops')
    }
  }

  [Symbol.dispose](): void {
    this.stop()
    clearInterval(this.#check)
  }

  readonly #moved: Moved = (visit, from) => {
    if (from === VisitStage.HELD) this.#held.delete(visit)
    else this.#count(from, -1)
    if (visit.stage !== VisitStage.GONE) this.#count(visit.stage, 1)
    if (this.#held.size > 0) this.#askTurn()
  }

  #count(stage: VisitStage, change: number): void {
    this.#counts[stage as 1 | 2 | 3] += change
  }

  get #hasRoom(): boolean {
    const { handshakesMax, unansweredMax } = this.#limits
    const { handshakes, unanswered } = this
    return handshakes < handshakesMax && handshakes + unanswered < unansweredMax
  }

  #askTurn(): void {
    if (this.#turnAsked || !this.#hasRoom) return
    this.#turnAsked = true
    const waitMs = this.#tokenAt - performance.now()
    if (waitMs > 0) setTimeout(this.#turn, waitMs).unref()
    else setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#turnAsked = false
    let begins = this.#limits.beginsPerTurnMax
    for (const [visit, visitor] of this.#held) {
      const nowMs = performance.now()
      if (begins === 0 || !this.#hasRoom || nowMs < this.#tokenAt) break
      begins -= 1
      if (this.#rate !== undefined) this.#tokenAt = nowMs + this.#rate.take(1, nowMs)
      visit.reach(VisitStage.HANDSHAKE)
      visitor.begin()
    }
    if (this.#held.size > 0) this.#askTurn()
  }

  /** They are in the order of their deadlines. */
  #expire(): void {
    const latest = performance.now() - this.#limits.heldTimeoutMs
    for (const [visit, visitor] of this.#held) {
      if (visit.since > latest) break
      this.#held.delete(visit)
      visitor.shed('held-too-long', `${this.#held.size} more are held`)
    }
    if (this.#held.size > 0) return
    clearInterval(this.#check)
    this.#check = undefined
  }
}
