/**
 * The instruments of one node: the catalogue, typed, on a prom-client registry of its own, so that
 * several nodes can live in one process.
 *
 *   const closed = instruments.counter('connections_closed_total')
 *   const idle = closed.cell({ listener: 'mqtts', reason: 'keepalive' })   // at start-up, once
 *   idle.add(1)                                                           // per event
 *
 * A misspelt name, label or value does not compile; a value outside a set that was supplied at
 * start-up throws when its cell is resolved, not when the event happens.
 */
import { type Metric, Registry } from 'prom-client'

import { type Catalog, catalog, type MetricName } from './catalog.ts'
import type { MetricDefinition, SuppliedSet } from './metric-definition.ts'
import { processMetrics } from './process-metrics.ts'
import {
  type Counter,
  CounterFamily,
  type Gauge,
  GaugeFamily,
  type Histogram,
  HistogramFamily,
  type LabelValues,
} from './series.ts'

/** The label values that the broker supplies, as types. */
export interface LabelSets {
  listeners: string
  closeReasons: string
  dropReasons: string
  logKinds: string
  redisFaults: string
  redisSettings: string
  redisKeys: string
}

type ValueOf<Values, Sets extends LabelSets> = Values extends readonly (infer Value)[]
  ? Value
  : Values extends keyof LabelSets
    ? Sets[Values]
    : string

export type LabelsOf<Name extends MetricName, Sets extends LabelSets = LabelSets> = {
  readonly [Label in keyof Catalog[Name]['labels']]: ValueOf<Catalog[Name]['labels'][Label], Sets>
}

/** A metric: ask it once for the cell of each series that you are going to touch. */
export interface Instrument<Labels, Series> {
  cell(...labels: keyof Labels extends never ? [] : [labels: Labels]): Series
}

export interface MetricsPage {
  readonly contentType: string
  readonly body: string
}

export interface Instruments<Sets extends LabelSets = LabelSets> {
  counter<Name extends MetricName<'counter'>>(name: Name): Instrument<LabelsOf<Name, Sets>, Counter>
  gauge<Name extends MetricName<'gauge'>>(name: Name): Instrument<LabelsOf<Name, Sets>, Gauge>
  histogram<Name extends MetricName<'histogram'>>(
    name: Name,
  ): Instrument<LabelsOf<Name, Sets>, Histogram>
  /** Runs before each page, for gauges that are read rather than kept. It must not wait. */
  onScrape(refresh: () => void): void
  render(): Promise<MetricsPage>
}

export interface InstrumentsOptions<Sets extends LabelSets = LabelSets> {
  readonly build: { readonly version: string; readonly commit: string }
  readonly listeners: readonly Sets['listeners'][]
  readonly closeReasons: readonly Sets['closeReasons'][]
  readonly dropReasons: readonly Sets['dropReasons'][]
  readonly logKinds: readonly Sets['logKinds'][]
  readonly redisFaults: readonly Sets['redisFaults'][]
  readonly redisSettings: readonly Sets['redisSettings'][]
  readonly redisKeys: readonly Sets['redisKeys'][]
  readonly registry?: Registry
}

export function createInstruments<
  Listener extends string,
  CloseReason extends string,
  DropReason extends string,
  LogKind extends string,
  RedisFault extends string,
  RedisSetting extends string,
  RedisKey extends string,
>(
  options: InstrumentsOptions<{
    listeners: Listener
    closeReasons: CloseReason
    dropReasons: DropReason
    logKinds: LogKind
    redisFaults: RedisFault
    redisSettings: RedisSetting
    redisKeys: RedisKey
  }>,
): Instruments<{
  listeners: Listener
  closeReasons: CloseReason
  dropReasons: DropReason
  logKinds: LogKind
  redisFaults: RedisFault
  redisSettings: RedisSetting
  redisKeys: RedisKey
}> {
  const registry = options.registry ?? new Registry()
  const sets: Record<SuppliedSet, readonly string[]> = {
    listeners: options.listeners,
    closeReasons: options.closeReasons,
    dropReasons: options.dropReasons,
    logKinds: options.logKinds,
    redisFaults: options.redisFaults,
    redisSettings: options.redisSettings,
    redisKeys: options.redisKeys,
    version: [options.build.version],
    commit: [options.build.commit],
    node: [process.versions.node],
    openssl: [process.versions.openssl],
  }
  const counters = new Map<string, CounterFamily>()
  const gauges = new Map<string, GaugeFamily>()
  const histograms = new Map<string, HistogramFamily>()
  const refreshers: (() => void)[] = []

  const definitions: Record<MetricName, MetricDefinition> = catalog
  for (const [name, definition] of Object.entries(definitions)) {
    const labelValues = Object.fromEntries(
      Object.entries(definition.labels).map(([label, values]) => {
        return [label, typeof values === 'string' ? sets[values] : values]
      }),
    )
    const family = familyOf(name, definition, labelValues)
    if (family instanceof CounterFamily) counters.set(name, family)
    else if (family instanceof GaugeFamily) gauges.set(name, family)
    else histograms.set(name, family)
    register(registry, family)
  }
  for (const metric of processMetrics()) registry.registerMetric(metric)

  const runtime = { node: process.versions.node, openssl: process.versions.openssl }
  gauges
    .get('build_info')!
    .cell({ ...options.build, ...runtime })
    .set(1)
  gauges
    .get('start_time_seconds')!
    .cell()
    .set(Date.now() / 1000)

  const instruments = {
    counter: (name: string) => counters.get(name)!,
    gauge: (name: string) => gauges.get(name)!,
    histogram: (name: string) => histograms.get(name)!,
    onScrape(refresh: () => void): void {
      refreshers.push(refresh)
    },
    async render(): Promise<MetricsPage> {
      for (const refresh of refreshers) refresh()
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
  }
  // Families take any labels and check them when a cell is resolved; the types say which are right.
  return instruments as Instruments
}

type AnyFamily = CounterFamily | GaugeFamily | HistogramFamily

function familyOf(name: string, definition: MetricDefinition, labelValues: LabelValues): AnyFamily {
  if (definition.type === 'counter') return new CounterFamily(name, definition, labelValues)
  if (definition.type === 'gauge') return new GaugeFamily(name, definition, labelValues)
  return new HistogramFamily(name, definition, labelValues)
}

/** prom-client asks for one of its own classes and uses only `name` and `get()`. */
function register(registry: Registry, family: AnyFamily): void {
  registry.registerMetric(family as unknown as Metric)
}
