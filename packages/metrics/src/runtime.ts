/**
 * The event loop, seen from inside: how long events wait for it and how busy it is.
 *
 * A timer asks to run every 20 ms and notes by how much it is late; the period itself is not part of
 * the number. A block of 200 ms hides nine runs of that timer, so their waits (180, 160, ... ms) are
 * noted with the first: the histogram then answers "what does an event that arrives at a random
 * moment wait?", and not "how many late timers were there?". Values below 1 ms are the resolution of
 * timers.
 *
 * Why not Node's own sampler: `monitorEventLoopDelay()` adds its 10 ms period to every value, and with
 * `samplePerIteration` it counts time in the poll phase only beyond the poll's time-out, so that work
 * done in socket callbacks, nearly all the work of a broker, is mostly lost (Node 24.21: 20 blocks of
 * 20 ms in a socket callback showed up as 0.4 ms in all).
 *
 * Neither value depends on who reads it: two Prometheus servers see the same.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks'

import type { Instruments } from './instruments.ts'
import type { Histogram } from './series.ts'

const SAMPLE_PERIOD_MS = 20
const UTILIZATION_WINDOW_MS = 10_000

export interface RuntimeOptions {
  readonly samplePeriodMs?: number
  readonly utilizationWindowMs?: number
  /** Told of each sample: by how many ms the event loop was late. */
  readonly onDelay?: (lateMs: number) => void
}

/** Starts to sample; dispose of the result to stop. It never keeps the process alive. */
export function startRuntimeMetrics(
  instruments: Instruments,
  {
    samplePeriodMs = SAMPLE_PERIOD_MS,
    utilizationWindowMs = UTILIZATION_WINDOW_MS,
    onDelay,
  }: RuntimeOptions = {},
): Disposable {
  const delay = instruments.histogram('eventloop_delay_seconds').cell()
  const utilization = instruments.gauge('eventloop_utilization_ratio').cell()
  let sampledAtMs = performance.now()
  let windowStartedAtMs = sampledAtMs
  let windowStart: EventLoopUtilization = performance.eventLoopUtilization()

  const timer = setInterval(() => {
    const nowMs = performance.now()
    const lateMs = nowMs - sampledAtMs - samplePeriodMs
    observeDelay(delay, lateMs, samplePeriodMs)
    onDelay?.(lateMs)
    sampledAtMs = nowMs
    if (nowMs - windowStartedAtMs >= utilizationWindowMs) {
      const windowEnd = performance.eventLoopUtilization()
      utilization.set(performance.eventLoopUtilization(windowEnd, windowStart).utilization)
      windowStart = windowEnd
      windowStartedAtMs = nowMs
    }
  }, samplePeriodMs)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Notes the wait of a timer that ran late, and of those that it hid by being late. */
export function observeDelay(delay: Histogram, lateMs: number, periodMs: number): void {
  let waitMs = Math.max(0, lateMs)
  delay.observe(waitMs / 1000)
  for (waitMs -= periodMs; waitMs >= 0; waitMs -= periodMs) delay.observe(waitMs / 1000)
}
