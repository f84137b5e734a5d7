/** The simulator as a library: for tests and benchmarks that drive a broker. */
export { InputError } from './input-error.ts'
export { runFleet, type FleetHooks } from './fleet.ts'
export {
  DEFAULTS,
  resolveOptions,
  type FleetCommand,
  type FleetInput,
  type FleetOptions,
  type Pattern,
} from './options.ts'
export type { Phase, Progress } from './progress.ts'
export { RESULT_SCHEMA, type FleetResult, type WatchedProcess } from './result.ts'
export { formatReport } from './report.ts'
export { ExitCode, type Verdict } from './verdict.ts'
export { Histogram, type HistogramRecord, type HistogramSummary } from './histogram.ts'
export { Schedule, type ScheduleOptions } from './schedule.ts'
export { Arrival, Track } from './ledger.ts'
export { nowUs } from './clock.ts'
export { sampleProcess, type ProcessSample } from './process-watch.ts'
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
