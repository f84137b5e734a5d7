export { type AdminBounds, type AdminRefusal } from './admin-connections.ts'
export { catalog, type Catalog, type MetricName } from './catalog.ts'
export {
  FILTER_REFUSALS,
  type FilterRefusal,
  READ_PAUSES,
  type ReadPause,
} from './client-catalog.ts'
export {
  type AdminRoute,
  type AdminServer,
  type AdminServerOptions,
  type CheckResult,
  startAdminServer,
} from './http-server.ts'
export {
  createInstruments,
  type Instrument,
  type Instruments,
  type InstrumentsOptions,
  type LabelSets,
  type LabelsOf,
  type MetricsPage,
} from './instruments.ts'
export { METRIC_PREFIX, type MetricDefinition, type MetricType } from './metric-definition.ts'
export { PROCESS_METRICS } from './process-metrics.ts'
export { type RuntimeOptions, startRuntimeMetrics } from './runtime.ts'
export { Counter, Gauge, type Histogram } from './series.ts'
