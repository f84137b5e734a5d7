/**
 * How fast one connection may send control packets: each of them may cost the store, the tables of every node and
 * the other connections of this one more than its bytes say. Beyond it the connection is not read.
 */
import type { Limits } from '@breakwater/config'
import type { Counter } from '@breakwater/metrics'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../connection/hold.ts'
import { TokenBucket } from '../admit/token-bucket.ts'

export type ControlRateLimits = Pick<
  Limits,
  'controlPacketsPerSecondMax' | 'controlBytesPerSecondMax'
>

/** A timer and a pause of the socket for each packet would cost more than the packets: a few come at once. */
const HELD_MS_MIN = 20

export class ControlRate {
  readonly #connection: Connection
  readonly #limits: ControlRateLimits
  readonly #pauses: Counter
  /** Made with the first packet: many clients send none for long. */
  #packets: TokenBucket | undefined
  #bytes: TokenBucket | undefined
  #isMade = false

  constructor(connection: Connection, limits: ControlRateLimits, pauses: Counter) {
    this.#connection = connection
    this.#limits = limits
    this.#pauses = pauses
  }

  /** A packet of so many bytes was taken. */
  took(packetBytes: number): void {
    if (!this.#isMade) {
      this.#isMade = true
      this.#packets = TokenBucket.of(this.#limits.controlPacketsPerSecondMax)
      this.#bytes = TokenBucket.of(this.#limits.controlBytesPerSecondMax)
    }
    const now = performance.now()
    const packetsWaitMs = this.#packets?.take(1, now) ?? 0
    const waitMs = Math.max(packetsWaitMs, this.#bytes?.take(packetBytes, now) ?? 0)
    if (waitMs === 0 || !this.#connection.open) return
    this.#connection.hold(Hold.CONTROL_RATE)
    this.#pauses.add(1)
    const heldMs = Math.max(waitMs, HELD_MS_MIN)
    setTimeout(() => this.#connection.release(Hold.CONTROL_RATE), heldMs).unref()
  }
}
