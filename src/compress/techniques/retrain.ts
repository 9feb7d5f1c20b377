// Trains a model that lost structure to answer like the original; may depend on model and runtime's training.
import { LightfootError } from "../../errors/index.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import type { LossOptions } from "../../runtime/gradient/losses.ts";
import { finishTraining, train } from "../../runtime/train.ts";
import { made, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export type RetrainContext = Pick<
  TechniqueContext,
  "train" | "original" | "seed" | "threads" | "retrain" | "signal" | "onEpoch"
>;

/**
 * Half from the teacher, half from the labels where there are any, both at temperature 1: a student with fewer neurons than its
 * task can use learns less from softened scores (seen on MNIST's validation split: 0.3 points at 48 of 128 neurons).
 */
function distillation(data: Dataset): LossOptions {
  return { kind: "kl", temperature: 1, alpha: data.labels === undefined ? 1 : 0.5 };
}

/**
 * Trains `smaller` with the original as teacher: Adam with a cosine schedule, loss `½·KL(teacher ‖ student) + ½·cross-entropy`.
 * Without training data, and where an operator has no gradient, it stays as it is and the notes say so.
 *
 * @param notes what was done to it before
 */
export async function retrained(
  smaller: ModelGraph,
  notes: readonly string[],
  context: RetrainContext,
): Promise<TechniqueResult> {
  if (context.train === undefined) return made(smaller, [...notes, "not retrained: no training data was given"]);
  const { epochs, batch, learningRate } = context.retrain;
  try {
    const run = train(smaller, context.train, {
      loss: distillation(context.train),
      optimizer: { kind: "adam" },
      learningRate,
      schedule: { kind: "cosine", floor: 0.02 },
      epochs,
      batch,
      seed: context.seed,
      teacher: await readOnnx(context.original),
      threads: context.threads,
      signal: context.signal,
    });
    const result = await finishTraining(run, (event) => {
      if (event.type === "epoch") context.onEpoch(event.epoch, epochs, event.loss);
    });
    return made(result.model, [...notes, `distilled from the original for ${epochs} epochs`]);
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_GRADIENT") throw thrown;
    return made(smaller, [...notes, `not retrained: ${thrown.message}`]);
  }
}
