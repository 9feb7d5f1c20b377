// What a compression search takes and what it says while it works; may depend on the runtime's data sets and this room's schema.
import type { Dataset } from "../runtime/dataset.ts";
import type { AccuracyBudget } from "./budget.ts";
import type { Candidate, SearchResult } from "./candidate-schema.ts";

/** What is to become small, among the candidates that hold the budget. */
export type Goal = "size" | "latency" | "energy" | "memory";

export interface CompressionData {
  /** Chooses. Must be data the original was not trained on, or its lead looks larger than it is. */
  readonly validation: Dataset;
  /** Judges, once, after the choice. Without it the validation figures are all there is, and the result says so. */
  readonly test?: Dataset;
  /** Retrains narrower models; without it they are only fitted. */
  readonly train?: Dataset;
  /** Ranges of activations; without it the first samples of `train`, else of `validation`, serve. */
  readonly calibration?: Dataset;
}

export interface RetrainOptions {
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  /** What inner layers count that differ from the original's, beside its answers; left out, nothing. */
  readonly featureWeight?: number;
}

export interface SearchOptions {
  /** Path of the original model. */
  readonly model: string;
  /** Folder that receives `candidates/<id>.onnx`. */
  readonly outDir: string;
  readonly data: CompressionData;
  readonly budget: AccuracyBudget;
  readonly goal: Goal;
  readonly seed: number;
  /** Batch sizes at which latency is measured; energy per inference is taken at the largest. */
  readonly batches: readonly number[];
  readonly threads?: number;
  /** Technique names to try; all when left out. */
  readonly techniques?: readonly string[];
  readonly retrain?: Partial<RetrainOptions>;
  readonly timeLimitSeconds?: number;
  /** Candidates made at most; the order of trying is always the same. */
  readonly maxCandidates?: number;
  /** Candidates of an unfinished search are taken over only when the same version made them. */
  readonly toolVersion?: string;
  /** False: layers are timed anew, and no times are kept in the user's cache folder. */
  readonly useCache?: boolean;
  readonly signal?: AbortSignal;
  /** Seconds from any fixed origin, never running backwards. A port, so that tests can hold time still. */
  readonly clock: () => number;
}

/** What is being done with a candidate. */
export type BenchStage = "making" | "measuring" | "scoring";

export type SearchEvent =
  | { readonly kind: "started"; readonly planned: number }
  | {
      readonly kind: "trying";
      readonly id: string;
      readonly title: string;
      readonly done: number;
      readonly planned: number;
    }
  | { readonly kind: "layers"; readonly done: number; readonly layers: number }
  | { readonly kind: "resumed"; readonly candidates: number }
  | { readonly kind: "working"; readonly id: string; readonly stage: BenchStage }
  | {
      readonly kind: "training";
      readonly id: string;
      readonly epoch: number;
      readonly epochs: number;
      readonly loss: number;
    }
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  | { readonly kind: "selected"; readonly candidate: Candidate | undefined; readonly rule: string }
  | { readonly kind: "ended"; readonly reason: SearchResult["ended"] };
