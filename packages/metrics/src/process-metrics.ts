/**
 * The metrics of the process that are worth their price, taken from prom-client's defaults.
 *
 * Left out: `nodejs_eventloop_lag_*`, which reports its own 10 ms sampling period as lag and is reset
 * by every scrape (breakwater_eventloop_delay_seconds replaces it); active handles, requests and
 * resources, which list every socket on every scrape; `process_open_fds`, which reads a directory
 * with one entry per connection on the event loop (3.5 ms at 8,000).
 */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'

export const PROCESS_METRICS = [
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'process_max_fds',
  'nodejs_heap_size_total_bytes',
  'nodejs_heap_size_used_bytes',
  'nodejs_external_memory_bytes',
  'nodejs_gc_duration_seconds',
] as const

/** No sample for 24 days: the lag sampler cannot be left out, so it is never woken. */
const NEVER_MS = 2 ** 31 - 1

let collected: readonly Metric[] | undefined

/**
 * They tell of the process, not of a node, and prom-client's observers cannot be removed again: so
 * all nodes of a process show the same ones. On a platform that lacks one, it is missing.
 */
export function processMetrics(): readonly Metric[] {
  if (collected === undefined) {
    const source = new Registry()
    collectDefaultMetrics({ register: source, eventLoopMonitoringPrecision: NEVER_MS })
    collected = PROCESS_METRICS.map((name) => source.getSingleMetric(name)).filter(
      (metric) => metric !== undefined,
    )
  }
  return collected
}
