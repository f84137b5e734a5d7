/**
 * Brings a fleet up: dials by schedule, gives up on the slow, counts the refused.
 *
 * In: devices. Out: a promise that resolves when every device is ready or has failed, when more
 * failed than may, or when the run is interrupted. Bounds: `connectTimeoutMs` per device.
 */
import { nowUs } from '../load/clock.ts'
import { describeTimeout } from '../measure/close-reason.ts'
import type { Device } from './device.ts'
import type { Meter } from '../measure/meter.ts'
import { Pacer } from '../load/pacer.ts'

export interface ConnectorOptions {
  readonly devices: readonly Device[]
  readonly ratePerSecond: number
  readonly timeoutMs: number
  readonly failuresMax: number
  readonly meter: Meter
}

const CHECK_MS = 100

export class Connector {
  ready = 0
  /** Never got ready. */
  failed = 0
  /** Were ready and are gone. */
  lost = 0
  /** How often each reason occurred, failed and lost together. */
  readonly reasons: Map<string, number> = new Map()
  /** The first failure with the address it happened at. */
  firstFailure: string | undefined
  readonly #options: ConnectorOptions
  readonly #settled: PromiseWithResolvers<void> = Promise.withResolvers()
  #dialed = 0
  #oldest = 0 // every device before this one is ready or closed

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  /** Too many devices failed or were lost. */
  get tooManyFailures(): boolean {
    return this.failed + this.lost > this.#options.failuresMax
  }

  async run(signal: AbortSignal): Promise<void> {
    const { devices, ratePerSecond, meter } = this.#options
    const startUs = nowUs()
    const dial = new Pacer((now) => {
      const intendedUs = startUs + (this.#dialed * 1_000_000) / ratePerSecond
      if (intendedUs > now) return intendedUs
      meter.connectLag.record(now - intendedUs)
      const device = devices[this.#dialed]!
      this.#dialed += 1
      device.connect(intendedUs)
      if (this.#dialed === devices.length) return Number.POSITIVE_INFINITY
      return startUs + (this.#dialed * 1_000_000) / ratePerSecond
    })
    const check = setInterval(() => this.#expire(), CHECK_MS)
    const stop = (): void => this.#settled.resolve()
    signal.addEventListener('abort', stop, { once: true })
    if (!signal.aborted) {
      dial.start()
      await this.#settled.promise
    }
    dial.stop()
    clearInterval(check)
    signal.removeEventListener('abort', stop)
  }

  onReady(): void {
    this.ready += 1
    this.#settleIfDone()
  }

  onClosed(device: Device, reason: string, wasReady: boolean): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
    this.firstFailure ??= `${device.endpoint.url}: ${reason}`
    if (wasReady) this.lost += 1
    else this.failed += 1
    this.#settleIfDone()
  }

  #settleIfDone(): void {
    const all = this.ready + this.failed === this.#options.devices.length
    if (all || this.tooManyFailures) this.#settled.resolve()
  }

  #expire(): void {
    const { devices, timeoutMs } = this.#options
    const latestUs = nowUs() - timeoutMs * 1000
    for (let index = this.#oldest; index < this.#dialed; index++) {
      const device = devices[index]!
      const settled = device.state === 'ready' || device.state === 'closed'
      if (settled && index === this.#oldest) this.#oldest += 1
      if (!settled && device.dialedUs < latestUs) {
        device.fail(describeTimeout(device.state, timeoutMs))
      }
    }
  }
}
