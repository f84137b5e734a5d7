/**
 * One run from the first connection to the last: connect → warm-up → measure → drain → done.
 *
 * In: what to do, and an AbortSignal to end early. Out: a FleetResult; a run that could not connect
 * or lost messages is a result, only impossible input is an error. Bounds: every phase has an end
 * (connect time-out, durations, drain time without progress), and every socket is closed on return.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { nowUs } from './load/clock.ts'
import { Connector } from './device/connector.ts'
import { assembleCrew, type Crew } from './device/crew.ts'
import { describeEnvironment } from './measure/environment.ts'
import { closeBooks } from './measure/integrity.ts'
import { Meter } from './measure/meter.ts'
import { resolveOptions, type FleetInput, type FleetOptions } from './command/options.ts'
import { sampleHost, sampleProcess } from './measure/process-watch.ts'
import {
  ProgressReader,
  type Phase,
  type Progress,
  type ProgressSource,
} from './report/progress.ts'
import { describeRun, type Edge, type FleetResult, type TimelinePoint } from './report/result.ts'
import { SCENARIOS } from './scenario/catalog.ts'
import { runName, type FleetPlan } from './scenario/plan.ts'

/** How a caller follows a run and ends it. */
export interface FleetHooks {
  /** Ends the run early; the result says so. */
  readonly signal?: AbortSignal
  /** Called at the very moment a phase begins, before anything is sent in it. */
  readonly onPhase?: (phase: Phase) => void
  readonly onProgress?: (progress: Progress) => void
  /** Time between two calls of `onProgress`; default one second. */
  readonly progressIntervalMs?: number
}

const SECOND_MS = 1000
const DRAIN_CHECK_MS = 20
const INTERRUPTED_DRAIN_MS = 1000
const LEAVE_MS = 1000

class Fleet {
  readonly #options: FleetOptions
  readonly #hooks: FleetHooks
  readonly #plan: FleetPlan
  readonly #meter: Meter = new Meter()
  readonly #connector: Connector
  readonly #crew: Crew
  readonly #allLost: AbortController = new AbortController()
  readonly #end: AbortSignal
  readonly #timeline: TimelinePoint[] = []
  #phase: Phase = 'connect'

  constructor(options: FleetOptions, hooks: FleetHooks) {
    this.#options = options
    this.#hooks = hooks
    this.#plan = SCENARIOS[options.command](options)
    this.#crew = assembleCrew(options, this.#plan, this.#meter, {
      onReady: () => this.#connector.onReady(),
      onClosed: (device, reason, wasReady) => {
        this.#connector.onClosed(device, reason, wasReady)
        if (this.#connector.lost === this.#connector.ready) this.#allLost.abort()
      },
    })
    this.#connector = new Connector({
      devices: this.#crew.devices,
      ratePerSecond: options.connectRate,
      timeoutMs: options.connectTimeoutMs,
      failuresMax: options.connectFailuresMax,
      meter: this.#meter,
    })
    this.#end = AbortSignal.any([this.#allLost.signal, ...(hooks.signal ? [hooks.signal] : [])])
  }

  async run(): Promise<FleetResult> {
    const startedAt = new Date()
    const environment = describeEnvironment()
    const before = this.#edge()
    const observer = this.#observe()
    this.#enter('connect')
    await this.#connector.run(this.#hooks.signal ?? new AbortController().signal)
    let from = this.#edge()
    let to = from
    if (!this.#connector.tooManyFailures && !this.#isInterrupted) {
      ;[from, to] = await this.#load()
      await this.#drain()
    }
    const unsent = this.#isInterrupted ? 0 : (this.#crew.drive?.waiting ?? 0)
    this.#crew.drive?.stop()
    this.#enter('done')
    observer()
    await this.#leave()
    const { devices, publishers } = this.#crew
    return describeRun({
      options: this.#options,
      runName: runName(this.#options),
      environment,
      startedAt,
      interrupted: this.#isInterrupted,
      planned: devices.length,
      publishers: publishers.length,
      connector: this.#connector,
      meter: this.#meter,
      integrity: closeBooks(this.#options, devices, publishers, this.#meter),
      unsent,
      before,
      from,
      to,
      timeline: this.#timeline,
    })
  }

  get #isInterrupted(): boolean {
    return this.#hooks.signal?.aborted ?? false
  }

  /** Warm-up and measured interval; returns what was read at the edges of the latter. */
  async #load(): Promise<[Edge, Edge]> {
    const { warmupMs, durationMs } = this.#options
    const meter = this.#meter
    const startUs = nowUs()
    meter.fromUs = startUs + warmupMs * 1000
    meter.toUs = meter.fromUs + durationMs * 1000
    if (warmupMs > 0) {
      this.#enter('warm-up')
      this.#crew.drive?.start(startUs, meter.toUs)
      await this.#sleepUntil(meter.fromUs)
    }
    this.#enter('measure')
    const from = this.#edge()
    if (warmupMs === 0) this.#crew.drive?.start(startUs, meter.toUs)
    await this.#sleepUntil(meter.toUs)
    this.#crew.drive?.finish()
    return [from, this.#edge()]
  }

  /** Waits for what is under way, as long as there is progress. */
  async #drain(): Promise<void> {
    const drive = this.#crew.drive
    if (drive === undefined) return
    this.#enter('drain')
    if (this.#isInterrupted) drive.stop()
    const patienceMs = this.#isInterrupted ? INTERRUPTED_DRAIN_MS : this.#options.drainMs
    let progress = -1
    let progressAtUs = nowUs()
    while (!this.#isDrained && !this.#allLost.signal.aborted) {
      const { sent, delivered, acknowledged } = this.#meter
      if (sent + delivered + acknowledged !== progress) progressAtUs = nowUs()
      else if (nowUs() - progressAtUs > patienceMs * 1000) return
      progress = sent + delivered + acknowledged
      await sleep(DRAIN_CHECK_MS)
    }
  }

  get #isDrained(): boolean {
    const { sent, delivered, acknowledged } = this.#meter
    const isAcknowledged = this.#options.qos === 0 || acknowledged >= sent
    const isSent = this.#isInterrupted || this.#crew.drive!.waiting === 0
    return isSent && isAcknowledged && delivered >= sent * this.#plan.receivers
  }

  async #leave(): Promise<void> {
    const { devices } = this.#crew
    const gone = Promise.all(devices.map((device) => device.leave()))
    const patience = new AbortController()
    const late = sleep(LEAVE_MS, undefined, { signal: patience.signal }).catch(() => {})
    await Promise.race([gone, late])
    patience.abort()
    for (const device of devices) device.destroy()
    await gone
  }

  async #sleepUntil(atUs: number): Promise<void> {
    const waitMs = Math.max(0, (atUs - nowUs()) / 1000)
    // An early end is not an error here: the phases that follow see the signal.
    await sleep(waitMs, undefined, { signal: this.#end }).catch(() => {})
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#hooks.onPhase?.(phase)
  }

  #edge(): Edge {
    return {
      mark: this.#meter.mark(nowUs()),
      cpu: process.cpuUsage(),
      loopActiveMs: performance.eventLoopUtilization().active,
      processes: this.#options.watchPids.map(sampleProcess),
      host: sampleHost(),
    }
  }

  /** Starts the timers that keep connections alive, draw the timeline and report progress. */
  #observe(): () => void {
    const { warmupMs, durationMs, lagBoundMs, devices, connectRate } = this.#options
    const { publishers, receivers } = this.#plan
    const startUs = nowUs()
    const source: ProgressSource = {
      meter: this.#meter,
      connector: this.#connector,
      devices: this.#crew.devices.length,
      receivers,
      publishes: publishers > 0,
      subscribes: this.#plan.devices.some((device) => device.subscribes !== undefined),
      plannedMs: (devices / connectRate) * SECOND_MS + warmupMs + durationMs,
      lagBoundMs,
    }
    const elapsedMs = (): number => (nowUs() - startUs) / 1000
    const seconds = new ProgressReader(source)
    const everySecond = setInterval(() => {
      for (const device of this.#crew.devices) device.keepAlive(nowUs())
      const { endToEndP50Ms, endToEndP99Ms, lagP99Ms } = seconds.read(this.#phase, elapsedMs())
      const { sent, received } = this.#meter
      const atMs = Math.round(elapsedMs())
      this.#timeline.push({ atMs, sent, received, endToEndP50Ms, endToEndP99Ms, lagP99Ms })
    }, SECOND_MS)
    const { onProgress, progressIntervalMs = SECOND_MS } = this.#hooks
    const reader = new ProgressReader(source)
    const everyInterval =
      onProgress === undefined
        ? undefined
        : setInterval(() => onProgress(reader.read(this.#phase, elapsedMs())), progressIntervalMs)
    return () => {
      clearInterval(everySecond)
      clearInterval(everyInterval)
    }
  }
}

/**
 * Runs a fleet against a broker and returns what it found. Throws InputError, before any socket is
 * opened, if the input cannot be run.
 */
export const runFleet = async (input: FleetInput, hooks: FleetHooks = {}): Promise<FleetResult> =>
  new Fleet(resolveOptions(input), hooks).run()
