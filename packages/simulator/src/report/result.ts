/** The report of a run as data. Its shape is versioned by `schema`; fields are only ever added. */
import type { Connector } from '../device/connector.ts'
import type { Environment } from '../measure/environment.ts'
import type { HistogramRecord } from '../measure/histogram.ts'
import { violations, type Integrity } from '../measure/integrity.ts'
import type { Meter, MeterMark } from '../measure/meter.ts'
import type { FleetOptions } from '../command/options.ts'
import type { HostSample, ProcessSample } from '../measure/process-watch.ts'
import { judgeThreshold, type Measured, type ThresholdOutcome } from '../command/threshold.ts'
import { reachVerdict, type Verdict } from './verdict.ts'

export const RESULT_SCHEMA = 'breakwater-fleet/1'

/** A flow of messages: over the whole run, and in the measured interval. */
interface Flow {
  readonly total: number
  readonly measured: number
  readonly perSecond: number
}

export interface WatchedProcess {
  readonly pid: number
  readonly cpuMs: number
  /** Per message delivered, or per message sent where nobody listens. */
  readonly cpuUsPerMessage: number | undefined
  /** Before the first device connected. */
  readonly residentBytesBefore: number
  readonly residentBytes: number
  readonly residentBytesPerConnection: number
}

export interface TimelinePoint {
  readonly atMs: number
  readonly sent: number
  readonly received: number
  readonly endToEndP50Ms: number
  readonly endToEndP99Ms: number
  readonly lagP99Ms: number
}

export interface FleetResult {
  readonly schema: typeof RESULT_SCHEMA
  readonly run: {
    readonly id: string
    readonly startedAt: string
    readonly finishedAt: string
    readonly measuredMs: number
    readonly interrupted: boolean
  }
  /** Everything the run was asked, except the password. */
  readonly options: Omit<FleetOptions, 'password' | 'ca'>
  readonly environment: Environment
  readonly verdict: Verdict
  readonly thresholds: readonly ThresholdOutcome[]
  readonly connections: {
    readonly planned: number
    readonly ready: number
    readonly failed: number
    readonly lost: number
    readonly reasons: Readonly<Record<string, number>>
    readonly firstFailure: string | undefined
    readonly connect: HistogramRecord
    readonly tcp: HistogramRecord
    readonly tls: HistogramRecord
    readonly connack: HistogramRecord
    readonly suback: HistogramRecord
  }
  readonly published: Flow & {
    readonly bytes: number
    readonly targetPerSecond: number | undefined
    readonly heldBack: number
    readonly unsent: number
    readonly stalls: number
  }
  readonly acknowledged: Flow
  readonly delivered: Flow & { readonly bytes: number }
  readonly latency: {
    /** Intended time → delivered. */
    readonly endToEnd: HistogramRecord
    /** Sent → delivered. */
    readonly transit: HistogramRecord
    /** Intended time → PUBACK or PUBCOMP. */
    readonly acknowledgement: HistogramRecord
    /** Sent → PUBACK or PUBCOMP. */
    readonly acknowledgementTransit: HistogramRecord
  }
  readonly integrity: Integrity
  readonly generator: {
    readonly lag: HistogramRecord
    readonly connectLag: HistogramRecord
    readonly lagBoundMs: number
    readonly overloaded: boolean
    /** Share of one core. */
    readonly cpuShare: number
    /** Per message sent or received. */
    readonly cpuUsPerMessage: number | undefined
    readonly loopUtilization: number
    readonly residentBytes: number
    /** CPU time that the hypervisor gave to others, of all time; undefined if not known. */
    readonly stealShare: number | undefined
  }
  readonly watched: readonly WatchedProcess[]
  readonly timeline: readonly TimelinePoint[]
}

/** Everything that is read at an edge of the measured interval. */
export interface Edge {
  readonly mark: MeterMark
  readonly cpu: NodeJS.CpuUsage
  readonly loopActiveMs: number
  readonly processes: readonly (ProcessSample | undefined)[]
  readonly host: HostSample | undefined
}

/** What fleet.ts hands over when a run is done. */
export interface RunRecord {
  readonly options: FleetOptions
  readonly runName: string
  readonly environment: Environment
  readonly startedAt: Date
  readonly interrupted: boolean
  readonly planned: number
  readonly publishers: number
  readonly connector: Connector
  readonly meter: Meter
  readonly integrity: Integrity
  readonly unsent: number
  readonly before: Edge
  readonly from: Edge
  readonly to: Edge
  readonly timeline: readonly TimelinePoint[]
}

const flow = (total: number, measured: number, seconds: number): Flow => ({
  total,
  measured,
  perSecond: seconds > 0 ? measured / seconds : 0,
})

const describeGenerator = (record: RunRecord, wallMs: number): FleetResult['generator'] => {
  const { from, to, meter, options } = record
  const cpuUs = to.cpu.user + to.cpu.system - from.cpu.user - from.cpu.system
  const messages = to.mark.sent - from.mark.sent + to.mark.received - from.mark.received
  const lag = meter.lag.toRecord()
  const ticks = (to.host?.totalTicks ?? 0) - (from.host?.totalTicks ?? 0)
  const steal = (to.host?.stealTicks ?? 0) - (from.host?.stealTicks ?? 0)
  return {
    lag,
    connectLag: meter.connectLag.toRecord(),
    lagBoundMs: options.lagBoundMs,
    overloaded: lag.p99Ms > options.lagBoundMs,
    cpuShare: wallMs > 0 ? cpuUs / 1000 / wallMs : 0,
    cpuUsPerMessage: messages > 0 ? cpuUs / messages : undefined,
    loopUtilization: wallMs > 0 ? (to.loopActiveMs - from.loopActiveMs) / wallMs : 0,
    residentBytes: process.memoryUsage.rss(),
    stealShare: ticks > 0 ? steal / ticks : undefined,
  }
}

const describeWatched = (record: RunRecord): WatchedProcess[] => {
  const { options, before, from, to, connector } = record
  const delivered = to.mark.received - from.mark.received
  const messages = delivered > 0 ? delivered : to.mark.sent - from.mark.sent
  return options.watchPids.flatMap((pid, index) => {
    const [first, start, end] = [before, from, to].map((edge) => edge.processes[index])
    if (first === undefined || start === undefined || end === undefined) return []
    const cpuMs = end.cpuMs - start.cpuMs
    const grown = end.residentBytes - first.residentBytes
    return {
      pid,
      cpuMs,
      cpuUsPerMessage: messages > 0 ? (cpuMs * 1000) / messages : undefined,
      residentBytesBefore: first.residentBytes,
      residentBytes: end.residentBytes,
      residentBytesPerConnection: connector.ready > 0 ? grown / connector.ready : 0,
    }
  })
}

const describeConnections = (record: RunRecord): FleetResult['connections'] => {
  const { connector, meter } = record
  const { ready, failed, lost, reasons, firstFailure } = connector
  return {
    planned: record.planned,
    ready,
    failed,
    lost,
    reasons: Object.fromEntries(reasons),
    firstFailure,
    connect: meter.connect.toRecord(),
    tcp: meter.tcp.toRecord(),
    tls: meter.tls.toRecord(),
    connack: meter.connack.toRecord(),
    suback: meter.suback.toRecord(),
  }
}

const connectFailures = (record: RunRecord): string[] => {
  const { connector, planned } = record
  if (!connector.tooManyFailures) return []
  const what = connector.failed > 0 ? 'could not connect' : 'lost their connection'
  const count = connector.failed > 0 ? connector.failed : connector.lost
  return [`${count} of ${planned} devices ${what}: ${connector.firstFailure}`]
}

const measuredOf = (record: RunRecord, delivered: Flow, published: Flow): Measured => {
  const { meter, integrity } = record
  const { qos0, qos1, qos2 } = integrity.duplicates
  return {
    latencies: {
      e2e: meter.endToEnd.summary(),
      transit: meter.transit.summary(),
      ack: meter.acknowledgement.summary(),
      lag: meter.lag.summary(),
      connect: meter.connect.summary(),
    },
    counts: {
      loss: integrity.lost,
      dup: qos0 + qos1 + qos2,
      rate: record.options.command === 'pub' ? published.perSecond : delivered.perSecond,
    },
    expected: integrity.expected,
  }
}

/** Puts the report of a run together. */
export const describeRun = (record: RunRecord): FleetResult => {
  const { options, from, to, meter, integrity, connector } = record
  const wallMs = (to.mark.atUs - from.mark.atUs) / 1000
  const count = (name: Exclude<keyof MeterMark, 'atUs'>, total: number): Flow =>
    flow(total, to.mark[name] - from.mark[name], wallMs / 1000)
  const published = count('sent', meter.sent)
  const delivered = count('received', meter.received)
  const generator = describeGenerator(record, wallMs)
  const measured = measuredOf(record, delivered, published)
  const thresholds = options.thresholds.map((threshold) => judgeThreshold(threshold, measured))
  const overload = `generator overloaded: lag p99 ${generator.lag.p99Ms} ms, bound ${options.lagBoundMs} ms; latencies are not valid`
  const didRun = connector.ready > 0
  const { password: _password, ca: _ca, ...shown } = options
  return {
    schema: RESULT_SCHEMA,
    run: {
      id: record.runName,
      startedAt: record.startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      measuredMs: wallMs,
      interrupted: record.interrupted,
    },
    options: shown,
    environment: record.environment,
    verdict: reachVerdict({
      interrupted: record.interrupted,
      connectFailures: connectFailures(record),
      violations: violations(integrity, options),
      overload: generator.overloaded ? overload : undefined,
      unsent: record.unsent,
      thresholds: didRun ? thresholds : [],
    }),
    thresholds,
    connections: describeConnections(record),
    published: {
      ...published,
      bytes: meter.sentBytes,
      targetPerSecond:
        record.publishers > 0 && !options.saturate
          ? (options.rate ?? record.publishers)
          : undefined,
      heldBack: meter.heldBack,
      unsent: record.unsent,
      stalls: meter.stalls,
    },
    acknowledged: count('acknowledged', meter.acknowledged),
    delivered: { ...delivered, bytes: meter.receivedBytes },
    latency: {
      endToEnd: meter.endToEnd.toRecord(),
      transit: meter.transit.toRecord(),
      acknowledgement: meter.acknowledgement.toRecord(),
      acknowledgementTransit: meter.acknowledgementTransit.toRecord(),
    },
    integrity,
    generator,
    watched: describeWatched(record),
    timeline: record.timeline,
  }
}
