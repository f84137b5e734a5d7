/**
 * Decides which of the sockets that wait are begun with now. `net.Server` cannot stop accepting, so a new socket is held as the
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
import { AdmissionPermit, PermitStage, type Moved, type AdmissionCandidate } from './permit.ts'

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
  readonly #held = new Map<AdmissionPermit, AdmissionCandidate>()
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
    return this.#counts[PermitStage.HANDSHAKE]
  }

  /** Those who can speak MQTT and have no CONNACK. */
  get unanswered(): number {
    return this.#counts[PermitStage.UNANSWERED]
  }

  /** All that are open here. */
  get connections(): number {
    return this.held + this.handshakes + this.unanswered + this.#counts[PermitStage.IN]
  }

  get loopDelayMs(): number {
    return this.#loopDelay.ms
  }

  /** For a socket that is new; `arrive` follows. */
  permit(): AdmissionPermit {
    return new AdmissionPermit(this.#moved)
  }

  /** It is held until it is begun with or shed, in this turn or a later one; or it is shed at once. */
  arrive(permit: AdmissionPermit, candidate: AdmissionCandidate): void {
    const { connections, held } = this
    const { heldMax, loopDelayMaxMs } = this.#limits
    const lateMs = this.#loopDelay.ms
    if (this.#stopped) candidate.shed('shutting-down', 'the node stops')
    else if (connections >= this.connectionsMax)
      candidate.shed('connections-full', `${connections} connections`)
    else if (lateMs > loopDelayMaxMs)
      candidate.shed('overloaded', `the event loop is ${Math.round(lateMs)} ms late`)
    else if (held >= heldMax) candidate.shed('held-full', `${held} are held`)
    else {
      this.#held.set(permit, candidate)
      this.#askTurn()
      this.#check ??= setInterval(() => this.#expire(), CHECK_MS).unref()
    }
  }

  /** Whether a client of this network may begin now. */
  takes(network: string): boolean {
    return this.#addresses?.takes(network, performance.now()) ?? true
  }

  /** Who is held is shed, and whoever still comes. */
  stop(): void {
    this.#stopped = true
    for (const [permit, candidate] of this.#held) {
      this.#held.delete(permit)
      candidate.shed('shutting-down', 'the node stops')
    }
  }

  [Symbol.dispose](): void {
    this.stop()
    clearInterval(this.#check)
  }

  readonly #moved: Moved = (permit, from) => {
    if (from === PermitStage.HELD) this.#held.delete(permit)
    else this.#count(from, -1)
    if (permit.stage !== PermitStage.GONE) this.#count(permit.stage, 1)
    if (this.#held.size > 0) this.#askTurn()
  }

  #count(stage: PermitStage, change: number): void {
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
    for (const [permit, candidate] of this.#held) {
      const nowMs = performance.now()
      if (begins === 0 || !this.#hasRoom || nowMs < this.#tokenAt) break
      begins -= 1
      if (this.#rate !== undefined) this.#tokenAt = nowMs + this.#rate.take(1, nowMs)
      permit.reach(PermitStage.HANDSHAKE)
      candidate.begin()
    }
    if (this.#held.size > 0) this.#askTurn()
  }

  /** They are in the order of their deadlines. */
  #expire(): void {
    const latest = performance.now() - this.#limits.heldTimeoutMs
    for (const [permit, candidate] of this.#held) {
      if (permit.since > latest) break
      this.#held.delete(permit)
      candidate.shed('held-too-long', `${this.#held.size} more are held`)
    }
    if (this.#held.size > 0) return
    clearInterval(this.#check)
    this.#check = undefined
  }
}
