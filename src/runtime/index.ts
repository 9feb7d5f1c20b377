// Public face of the room `runtime`; depends on its own files.
export * from "./dataset.ts";
export { bindDataset, type BoundDataset } from "./bind-dataset.ts";
export { evaluate, type EvaluateOptions, type Evaluation } from "./evaluate.ts";
export { measureLatency, type LatencyMeasurement, type LatencyOptions, type LatencyReport } from "./latency.ts";
export { findMetric, METRIC_NAMES } from "./metrics.ts";
export type { Metric, MetricBatch, MetricContext, MetricResult } from "./metric.ts";
export { openSession, type Fetches, type Session, type SessionOptions, type SessionValue } from "./session.ts";
