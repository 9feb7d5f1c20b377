// Retraining that brings a changed model back towards the original's answers; may depend on model, runtime's training and technique.
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import type { FeatureOptions } from "../../runtime/gradient/features.ts";
import type { LossOptions } from "../../runtime/gradient/losses.ts";
import { finishTraining, train } from "../../runtime/train.ts";
import type { TrainOptions } from "../../runtime/train-options.ts";
import type { TechniqueContext } from "./technique.ts";

export interface RecoveryOptions {
  /** Left out, the search's own. */
  readonly epochs?: number;
  readonly learningRate?: number;
  /** Weight of the original's answers in the loss, the labels have the rest: 0 … 1. */
  readonly teacherShare?: number;
  /** Softens the original's answers. */
  readonly temperature?: number;
  /**
   * Asks the layers inside to give what the original's give too, and multiplies their mean relative squared error with this; 0, only the
   * answers are compared. Left out, the search's own.
   */
  readonly featureWeight?: number;
}

export type RecoveryContext = Pick<
  TechniqueContext,
  "train" | "original" | "seed" | "threads" | "retrain" | "signal" | "onEpoch"
>;

/**
 * Half from the original's scores, half from the labels where there are any, both at temperature 1: a student with fewer weights than
 * its task can use learns less from softened scores (seen on MNIST's validation split: 0.3 points at 48 of 128 neurons). Targets that
 * are no classes are met by least squares.
 */
export function recoveryLoss(data: Dataset, { teacherShare = 0.5, temperature = 1 }: RecoveryOptions): LossOptions {
  if (data.labels === undefined && data.targets !== undefined) return { kind: "mse" };
  if (data.labels === undefined) return { kind: "kl", temperature };
  if (teacherShare === 0) return { kind: "cross-entropy" };
  return { kind: "kl", temperature, alpha: teacherShare };
}

/** What a technique adds: masks, prices, the choice of tensors; and where the units that it left stood in the original. */
export type RecoveryDetails = Partial<TrainOptions> & Pick<FeatureOptions, "kept">;

/**
 * Trains `model` with Adam on a falling cosine, the original as teacher.
 *
 * @returns the trained model, and how it was trained in words
 */
export async function recover(
  model: ModelGraph,
  data: Dataset,
  options: RecoveryOptions,
  context: RecoveryContext,
  { kept, ...more }: RecoveryDetails = {},
): Promise<{ readonly model: ModelGraph; readonly note: string }> {
  const epochs = options.epochs ?? context.retrain.epochs;
  const loss = recoveryLoss(data, options);
  const featureWeight = options.featureWeight ?? context.retrain.featureWeight ?? 0;
  const hasTeacher = loss.kind === "kl" || featureWeight > 0;
  const run = train(model, data, {
    loss,
    optimizer: { kind: "adam" },
    learningRate: options.learningRate ?? context.retrain.learningRate,
    schedule: { kind: "cosine", floor: 0.02 },
    epochs,
    batch: context.retrain.batch,
    seed: context.seed,
    threads: context.threads,
    signal: context.signal,
    ...(hasTeacher ? { teacher: await readOnnx(context.original) } : {}),
    ...(featureWeight > 0 ? { features: { weight: featureWeight, kept } } : {}),
    ...more,
  });
  const result = await finishTraining(run, (event) => {
    if (event.type === "epoch") context.onEpoch(event.epoch, epochs, event.loss);
  });
  const inside = featureWeight > 0 ? ", inner layers included," : "";
  const how = hasTeacher ? `distilled from the original${inside}` : "retrained";
  return { model: result.model, note: `${how} for ${epochs} epochs` };
}
