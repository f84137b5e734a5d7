/**
 * What makes publishers send.
 *
 * Paced (open loop): the schedule says when, whatever the broker does; a slow broker shows as
 * latency from the intended time, not as a lower rate. Saturated (closed loop): what came back says
 * when; a slow broker shows as a lower rate, and nothing needs to be lost. One timer either way.
 */
import { nowUs } from './clock.ts'
import type { Meter } from '../measure/meter.ts'
import { Pacer } from './pacer.ts'
import type { Publisher } from '../device/publisher.ts'
import type { Schedule } from './schedule.ts'

export interface Drive {
  /** Begins; messages meant to leave at or after `endUs` are not sent. */
  start(startUs: number, endUs: number): void
  /** The measured interval is over. Open loop: what was due in it is still sent. */
  finish(): void
  /** Messages that were due and are not sent. */
  readonly waiting: number
  /** Nothing is sent from here on. */
  stop(): void
}

const TURN_US = 4000 // then sockets are read, however much is due

export class PacedDrive implements Drive {
  readonly #publishers: readonly Publisher[]
  readonly #schedule: Schedule
  readonly #pacer: Pacer = new Pacer((now) => this.#turn(now))
  readonly #due: Publisher[] = []
  #dispatched = 0 // of #due
  #endUs = 0

  constructor(publishers: readonly Publisher[], schedule: Schedule) {
    this.#publishers = publishers
    this.#schedule = schedule
  }

  start(startUs: number, endUs: number): void {
    this.#endUs = endUs
    this.#schedule.begin(startUs)
    for (const publisher of this.#publishers) publisher.start(startUs)
    this.#pacer.start()
  }

  finish(): void {}

  get waiting(): number {
    const unreached = this.#schedule.nextUs < this.#endUs ? 1 : 0
    return this.#publishers.reduce((sum, publisher) => sum + publisher.waiting, unreached)
  }

  stop(): void {
    this.#pacer.stop()
    for (const publisher of this.#publishers) publisher.stop()
  }

  #turn(now: number): number {
    const schedule = this.#schedule
    const untilUs = Math.min(now, this.#endUs - 1)
    while (schedule.nextUs <= untilUs) {
      const publisher = this.#publishers[schedule.nextSource]!
      publisher.release()
      if (!publisher.queued) {
        publisher.queued = true
        this.#due.push(publisher)
      }
      schedule.advance()
    }
    if (!this.#dispatch(now + TURN_US)) return now
    return schedule.nextUs < this.#endUs ? schedule.nextUs : Number.POSITIVE_INFINITY
  }

  /** Sends for those who are due; false if the turn was over before all had sent. */
  #dispatch(turnEndUs: number): boolean {
    const due = this.#due
    for (; this.#dispatched < due.length; this.#dispatched++) {
      const now = nowUs()
      if (now > turnEndUs) return false
      const publisher = due[this.#dispatched]!
      publisher.queued = false
      publisher.dispatch(now)
    }
    due.length = 0
    this.#dispatched = 0
    return true
  }
}

const STALL_CHECK_MS = 1000
const STALL_CHECKS = 2 // without any progress, then what is outstanding is given up

export class SaturatedDrive implements Drive {
  readonly #publishers: readonly Publisher[]
  readonly #meter: Meter
  #timer: NodeJS.Timeout | undefined
  #progress = -1
  #idleChecks = 0

  constructor(publishers: readonly Publisher[], meter: Meter) {
    this.#publishers = publishers
    this.#meter = meter
  }

  start(): void {
    for (const publisher of this.#publishers) publisher.start(nowUs())
    this.#timer = setInterval(() => this.#check(), STALL_CHECK_MS)
  }

  get waiting(): number {
    return 0
  }

  finish(): void {
    this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const publisher of this.#publishers) publisher.stop()
  }

  #check(): void {
    const { sent, acknowledged, delivered } = this.#meter
    const progress = sent + acknowledged + delivered
    this.#idleChecks = progress === this.#progress ? this.#idleChecks + 1 : 0
    this.#progress = progress
    if (this.#idleChecks < STALL_CHECKS) return
    this.#idleChecks = 0
    this.#meter.stalls += 1
    for (const publisher of this.#publishers) publisher.forfeit(nowUs())
  }
}
