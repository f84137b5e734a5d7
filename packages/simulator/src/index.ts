/** The simulator as a library: for tests and benchmarks that drive a broker. */
export type { FleetMode } from './command/fleet-mode.ts'
export { InputError } from './command/input-error.ts'
export { runFleet, type FleetHooks } from './fleet.ts'
export {
  DEFAULTS,
  resolveOptions,
  type FleetInput,
  type FleetOptions,
  type Pattern,
} from './command/options.ts'
export type { Phase, Progress } from './report/progress.ts'
export { RESULT_SCHEMA, type FleetResult, type WatchedProcess } from './report/result.ts'
export { formatReport } from './report/report.ts'
export { ExitCode, type Verdict } from './report/verdict.ts'
export { Histogram, type HistogramRecord, type HistogramSummary } from './measure/histogram.ts'
export { Schedule, type ScheduleOptions } from './load/schedule.ts'
export { Arrival, Track } from './measure/ledger.ts'
export { nowUs } from './load/clock.ts'
export { sampleProcess, type ProcessSample } from './measure/process-watch.ts'
export { PacketType, WireError, type Qos } from './wire/packet.ts'
export {
  DISCONNECT,
  encodeAcknowledgement,
  encodeConnect,
  encodePublish,
  encodeRemainingLength,
  encodeSubscribe,
  PINGREQ,
  type ConnectFields,
  type PublishFields,
} from './wire/encoder.ts'
export { FrameReader, type FrameSink } from './wire/frame-reader.ts'
