// What a compression technique is: a model and its circumstances in, another model or a reason out; may depend on model and runtime.
import type { ModelGraph } from "../../model/graph.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import type { RetrainOptions } from "../search-options.ts";
import type { WeightGrid } from "../quantize/affine.ts";

/** A JSON value, so that a recipe can be written down and used again. */
export type OptionValue = string | number | boolean | null | string[];

/** One step of a recipe: a technique with its options. */
export interface Step {
  readonly technique: string;
  readonly options: Readonly<Record<string, OptionValue>>;
}

export interface TechniqueContext {
  /** Samples that stand for real inputs; ranges of activations come from them. */
  readonly calibration: Dataset | undefined;
  readonly train: Dataset | undefined;
  /** Path of the original, the teacher of distillation. */
  readonly original: string;
  readonly seed: number;
  readonly threads: number | undefined;
  readonly retrain: RetrainOptions;
  /** How int8 weights are stored for this machine. */
  readonly weightGrid: WeightGrid;
  /** Threads for work on whole tensors; absent, it is done in this one. */
  readonly runner?: TaskRunner;
  readonly signal: AbortSignal | undefined;
  readonly onEpoch: (epoch: number, epochs: number, loss: number) => void;
}

export type TechniqueResult =
  | { readonly kind: "model"; readonly model: ModelGraph; readonly notes: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

export type Technique = (
  model: ModelGraph,
  options: Readonly<Record<string, OptionValue>>,
  context: TechniqueContext,
) => Promise<TechniqueResult>;

export const refused = (reason: string): TechniqueResult => ({ kind: "refused", reason });
export const made = (model: ModelGraph, notes: readonly string[] = []): TechniqueResult => ({
  kind: "model",
  model,
  notes,
});
