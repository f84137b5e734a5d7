/**
 * Devices of one process: brings them up, lets them publish by the clock, and counts. Latency is taken from the
 * time at which a message was due, to its delivery to the same device, through the broker's store.
 */
import { createSecureContext } from 'node:tls'
import { Histogram, nowUs, type HistogramSummary } from '@breakwater/simulator'
import { StormDevice, type StormContext } from './storm-device.ts'

export interface CrowdOptions {
  readonly name: string
  readonly devices: number
  /** Device i begins at port i modulo their number. */
  readonly ports: readonly number[]
  readonly ca: string
}

/** What happened in a quarter of a second. */
export interface Moment {
  readonly atUs: number
  readonly ready: number
  readonly deliveries: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface CrowdReport {
  readonly sent: number
  /** Messages of which the device had an acknowledgement. */
  readonly acknowledged: number
  readonly delivered: number
  /** Acknowledged and never delivered. */
  readonly lost: number
  readonly duplicates: number
  readonly moments: readonly Moment[]
}

/** Of an interval that the caller chose. */
export interface PhaseReport {
  readonly latency: HistogramSummary
  /** Of this process: how late it was to send. */
  readonly lag: HistogramSummary
  readonly handshake: HistogramSummary
  readonly handshakes: number
  readonly resumed: number
  /** Connections that ended before they were ready, and those that were lost, by reason. */
  readonly failed: Readonly<Record<string, number>>
  readonly lostConnections: number
  /** When each device that had been lost was ready again, µs of the machine's clock, in order. */
  readonly backUs: readonly number[]
}

const CONNECTING_MAX = 64
const MOMENT_MS = 250
const TICK_MS = 5
const ATTEMPT_MAX_US = 15_000_000
/** Each device pings once in this number of intervals: all at once would hold up this process, and the nodes. */
const PING_MOMENTS = 80
const DRAIN_CHECK_MS = 50
const DRAIN_PATIENCE_MS = 30_000

class PhaseMeter {
  readonly latency = new Histogram()
  readonly lag = new Histogram()
  readonly handshake = new Histogram()
  handshakes = 0
  resumed = 0
  lostConnections = 0
  readonly failed: Record<string, number> = {}
  readonly backUs: number[] = []

  report(): PhaseReport {
    const { latency, lag, handshake, ...rest } = this
    return {
      ...rest,
      latency: latency.summary(),
      lag: lag.summary(),
      handshake: handshake.summary(),
    }
  }
}

export class Crowd implements StormContext {
  readonly secureContext: StormContext['secureContext']
  ports: readonly number[]
  readonly #devices: readonly StormDevice[]
  readonly #moments: Moment[] = []
  readonly #timers: NodeJS.Timeout[] = []
  #meter = new PhaseMeter()
  #moment = new Histogram()
  #ready = 0
  #connecting = 0
  #dialed = 0
  #allReady: () => void = () => undefined
  #publishing: NodeJS.Timeout | undefined

  constructor({ name, devices, ports, ca }: CrowdOptions) {
    this.ports = ports
    this.secureContext = createSecureContext({ ca, ecdhCurve: 'X25519' })
    this.#devices = Array.from(
      { length: devices },
      (_, index) =>
        new StormDevice(`${name}-${index}`, ports[index % ports.length] as number, this),
    )
    this.#timers.push(setInterval(() => this.#takeMoment(), MOMENT_MS))
  }

  /** Resolves when all are ready. */
  async connect(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#allReady = resolve
      this.#dialMore()
    })
  }

  publish(ratePerSecond: number): void {
    const startUs = nowUs()
    let due = 0
    this.#publishing = setInterval(() => {
      const now = nowUs()
      for (;;) {
        const dueUs = startUs + (due * 1_000_000) / ratePerSecond
        if (dueUs > now) return
        const device = this.#devices[due % this.#devices.length] as StormDevice
        due += 1
        this.#meter.lag.record(now - dueUs)
        if (device.isReady) device.publish(dueUs)
      }
    }, TICK_MS)
  }

  /** What happened since the last call. */
  phase(): PhaseReport {
    const report = this.#meter.report()
    this.#meter = new PhaseMeter()
    return report
  }

  get notReady(): number {
    return this.#devices.length - this.#ready
  }

  /** Publishes no more, and waits for what is under way as long as something comes. */
  async drain(): Promise<CrowdReport> {
    clearInterval(this.#publishing)
    let before = -1
    let sinceMs = performance.now()
    for (;;) {
      const missing = this.#sum((device) => device.sent - device.track.received)
      const open = this.#sum(({ unacknowledged }) => unacknowledged)
      if (missing + open !== before) sinceMs = performance.now()
      before = missing + open
      if (before === 0 || performance.now() - sinceMs > DRAIN_PATIENCE_MS) break
      await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_MS))
    }
    for (const timer of this.#timers) clearInterval(timer)
    for (const device of this.#devices) device.leave()
    const sent = this.#sum((device) => device.sent)
    const acknowledged = sent - this.#sum(({ unacknowledged }) => unacknowledged)
    const delivered = this.#sum(({ track }) => track.received)
    const duplicates = this.#sum((device) => device.duplicates)
    const lost = Math.max(0, acknowledged - delivered)
    return { sent, acknowledged, delivered, lost, duplicates, moments: this.#moments }
  }

  onSecured(handshakeUs: number, isResumed: boolean): void {
    this.#meter.handshakes += 1
    if (isResumed) this.#meter.resumed += 1
    this.#meter.handshake.record(handshakeUs)
  }

  onReady(device: StormDevice): void {
    this.#ready += 1
    if (device.wasLost) this.#meter.backUs.push(device.readySinceUs)
    else {
      this.#connecting -= 1
      this.#dialMore()
    }
    if (this.notReady === 0) this.#allReady()
  }

  onLost(reason: string, wasReady: boolean): void {
    if (wasReady) {
      this.#ready -= 1
      this.#meter.lostConnections += 1
    } else this.#meter.failed[reason] = (this.#meter.failed[reason] ?? 0) + 1
  }

  onDelivered(device: StormDevice, latencyUs: number): void {
    if (device.wasLost) return
    this.#meter.latency.record(latencyUs)
    this.#moment.record(latencyUs)
  }

  #dialMore(): void {
    while (this.#connecting < CONNECTING_MAX && this.#dialed < this.#devices.length) {
      this.#devices[this.#dialed]?.connect()
      this.#dialed += 1
      this.#connecting += 1
    }
  }

  #takeMoment(): void {
    const { count, p99Ms, maxMs } = this.#moment.summary()
    this.#moments.push({ atUs: nowUs(), ready: this.#ready, deliveries: count, p99Ms, maxMs })
    this.#moment = new Histogram()
    const latestUs = nowUs() - ATTEMPT_MAX_US
    const part = this.#moments.length % PING_MOMENTS
    for (const [index, device] of this.#devices.entries()) {
      if (device.dialedUs > 0 && device.dialedUs < latestUs) device.giveUp()
      if (index % PING_MOMENTS === part) device.ping()
    }
  }

  #sum(of: (device: StormDevice) => number): number {
    return this.#devices.reduce((sum, device) => sum + of(device), 0)
  }
}
