/** What a run says of itself while it runs: a reading, and the line made of it. */
import { styleText } from 'node:util'
import type { Connector } from '../device/connector.ts'
import { nowUs } from '../load/clock.ts'
import { formatCount, formatMs, formatRate } from './format.ts'
import type { Histogram } from '../measure/histogram.ts'
import type { Meter, MeterMark } from '../measure/meter.ts'

export type Phase = 'connect' | 'warm-up' | 'measure' | 'drain' | 'done'

/** The last interval of a run. */
export interface Progress {
  readonly phase: Phase
  readonly elapsedMs: number
  readonly plannedMs: number
  readonly devices: number
  readonly ready: number
  readonly failed: number
  readonly lost: number
  readonly publishes: boolean
  readonly subscribes: boolean
  readonly sentPerSecond: number
  readonly deliveredPerSecond: number
  /** Deliveries still expected. */
  readonly underWay: number
  readonly endToEndP50Ms: number
  readonly endToEndP99Ms: number
  readonly duplicates: number
  readonly outOfOrder: number
  readonly lagP99Ms: number
  readonly lagBoundMs: number
}

export interface ProgressSource {
  readonly meter: Meter
  readonly connector: Connector
  readonly devices: number
  readonly receivers: number
  readonly publishes: boolean
  readonly subscribes: boolean
  readonly plannedMs: number
  readonly lagBoundMs: number
}

/** Turns running totals into what happened since the last reading. */
export class ProgressReader {
  readonly #source: ProgressSource
  #mark: MeterMark
  #endToEnd: Histogram
  #lag: Histogram

  constructor(source: ProgressSource) {
    this.#source = source
    this.#mark = source.meter.mark(nowUs())
    this.#endToEnd = source.meter.endToEnd.copy()
    this.#lag = source.meter.lag.copy()
  }

  read(phase: Phase, elapsedMs: number): Progress {
    const { meter, connector, devices, receivers, ...rest } = this.#source
    const mark = meter.mark(nowUs())
    const seconds = (mark.atUs - this.#mark.atUs) / 1_000_000
    const endToEnd = meter.endToEnd.since(this.#endToEnd)
    const lag = meter.lag.since(this.#lag)
    const sent = mark.sent - this.#mark.sent
    const received = mark.received - this.#mark.received
    this.#mark = mark
    this.#endToEnd = meter.endToEnd.copy()
    this.#lag = meter.lag.copy()
    return {
      ...rest,
      phase,
      elapsedMs,
      devices,
      ready: connector.ready,
      failed: connector.failed,
      lost: connector.lost,
      sentPerSecond: sent / seconds,
      deliveredPerSecond: received / seconds,
      underWay: Math.max(0, meter.sent * receivers - meter.delivered),
      endToEndP50Ms: endToEnd.quantileUs(0.5) / 1000,
      endToEndP99Ms: endToEnd.quantileUs(0.99) / 1000,
      duplicates: meter.duplicates.reduce((sum, count) => sum + count, 0),
      outOfOrder: meter.outOfOrder,
      lagP99Ms: lag.quantileUs(0.99) / 1000,
    }
  }
}

const clock = (ms: number): string => {
  const seconds = Math.floor(ms / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
}

/** One line for people; wide enough for 100 columns. */
const formatProgress = (progress: Progress): string => {
  const { phase, elapsedMs, plannedMs, devices, ready, failed, lost, publishes } = progress
  const gone = failed + lost > 0 ? ` (${failed} failed, ${lost} lost)` : ''
  const parts = [
    `${phase.padEnd(7)} ${clock(elapsedMs)}/${clock(plannedMs)}`,
    `${formatCount(ready - lost)}/${formatCount(devices)} up${gone}`,
  ]
  if (phase === 'connect') return parts.join(' · ')
  if (publishes) parts.push(`out ${formatRate(progress.sentPerSecond)}`)
  if (progress.subscribes) {
    parts.push(`in ${formatRate(progress.deliveredPerSecond)}`)
    if (progress.endToEndP99Ms > 0) {
      parts.push(
        `p50 ${formatMs(progress.endToEndP50Ms)} p99 ${formatMs(progress.endToEndP99Ms)} ms`,
      )
    }
    if (phase === 'drain') parts.push(`under way ${formatCount(progress.underWay)}`)
    if (progress.duplicates > 0) parts.push(`dup ${formatCount(progress.duplicates)}`)
    if (progress.outOfOrder > 0) parts.push(`out of order ${formatCount(progress.outOfOrder)}`)
  }
  if (progress.lagP99Ms > 0) parts.push(`lag ${formatMs(progress.lagP99Ms)} ms`)
  return parts.join(' · ')
}

/** Where the line goes: rewritten in place on a terminal, line after line elsewhere. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  readonly isLive: boolean

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.isLive = stream.isTTY
  }

  show(progress: Progress): void {
    const late = progress.lagP99Ms > progress.lagBoundMs
    const text = formatProgress(progress)
    const line = this.isLive ? text.slice(0, this.#stream.columns - 1) : text
    const shown = late ? styleText('red', line, { stream: this.#stream }) : line
    this.#stream.write(this.isLive ? `\r\u001b[2K${shown}` : `${shown}\n`)
  }

  /** Takes the line off a terminal, so that the summary starts on a clean one. */
  clear(): void {
    if (this.isLive) this.#stream.write('\r\u001b[2K')
  }
}
