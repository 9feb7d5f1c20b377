// What a metric is: fed batch by batch, it ends in a figure with its interval; may depend on errors, quantity and model.
import type { TensorValue } from "../model/tensor-value.ts";
import type { Figure } from "../quantity/index.ts";

/** One batch of results; every tensor has `count` samples on its first axis. */
export interface MetricBatch {
  /** Number of the batch's first sample in the data set. */
  readonly start: number;
  readonly count: number;
  readonly inputs: Readonly<Record<string, TensorValue>>;
  /** The judged output; all that have samples on their first axis when a metric asked for them. */
  readonly outputs: Readonly<Record<string, TensorValue>>;
  /** The output that is judged. */
  readonly output: TensorValue;
  /** The same output of the reference model, when there is one. */
  readonly reference?: TensorValue;
  readonly labels?: TensorValue;
  readonly targets?: TensorValue;
}

export interface MetricContext {
  readonly sampleCount: number;
  readonly hasLabels: boolean;
  /** Seed of bootstrap intervals. */
  readonly seed: number;
  /** Axis of the output that counts classes; left out, the one by which output and labels differ. */
  readonly classAxis?: number;
  /** Score from which a single-score output means class 1; left out, 0.5 for probabilities and 0 for logits. */
  readonly threshold?: number;
}

export interface MetricResult {
  readonly name: string;
  readonly figure: Figure;
  readonly higherIsBetter: boolean;
  /**
   * The metric of each sample, for paired tests against another model: 0 or 1 in a Uint8Array where it is right or
   * wrong, else a Float64Array. Absent when the metric is neither mean nor sum over samples.
   */
  readonly perSample?: Uint8Array | Float64Array;
  /** How the metric comes from `perSample`; `mean` if left out. */
  readonly aggregate?: "mean" | "sum";
}

/** Takes the batches in order, then gives the result once. */
export interface MetricAccumulator {
  add(batch: MetricBatch): void;
  finish(): MetricResult | Promise<MetricResult>;
}

export type MetricNeed = "labels" | "targets" | "reference";

export interface Metric {
  readonly name: string;
  readonly summary: string;
  readonly needs: readonly MetricNeed[];
  /** True when it reads other outputs than the judged one, which are then computed too. */
  readonly allOutputs?: boolean;
  open(context: MetricContext): MetricAccumulator;
}
