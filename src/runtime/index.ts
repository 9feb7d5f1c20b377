// Public face of the room `runtime`; depends on its own files.
export * from "./dataset.ts";
export { bindDataset, type BoundDataset } from "./bind-dataset.ts";
export { evaluate, type EvaluateOptions, type Evaluation } from "./evaluate.ts";
export { measureLatency, type LatencyMeasurement, type LatencyOptions, type LatencyReport } from "./latency.ts";
export { findMetric, METRIC_NAMES } from "./metrics.ts";
export type { Metric, MetricBatch, MetricContext, MetricResult } from "./metric.ts";
export { openSession, type Fetches, type Session, type SessionOptions, type SessionValue } from "./session.ts";
export { buildMlp, type MlpOptions } from "./architecture/mlp.ts";
export { buildTrainingGraph, type TrainingGraph, type TrainingGraphOptions } from "./gradient/training-graph.ts";
export { forwardGraph } from "./gradient/forward-graph.ts";
export type { LossOptions } from "./gradient/losses.ts";
export type { OptimizerOptions } from "./gradient/optimizers.ts";
export { differentiableOperators } from "./gradient/rules/index.ts";
export { finishTraining, train } from "./train.ts";
export { trainInWorker } from "./train-in-worker.ts";
export type { EpochRecord, TrainEvent, TrainingData, TrainOptions, TrainResult } from "./train-options.ts";
export { learningRateAt, type ScheduleOptions } from "./train-schedule.ts";
export { evaluateInWorker } from "./evaluate-in-worker.ts";
export { executedPrecision, type ExecutedPrecision } from "./executed-precision.ts";
export { peakMemory } from "./peak-memory.ts";
export {
  createThreadPool,
  type RunTaskOptions,
  type Task,
  type TaskContext,
  type TaskFunction,
  type TaskRunner,
} from "./task-runner.ts";
