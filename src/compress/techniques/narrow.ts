// Narrower retraining: takes the least important hidden neurons out and trains the rest to answer like the original;
// may depend on rewrite, calibrate and runtime's training.
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { sliceDataset, type Dataset } from "../../runtime/dataset.ts";
import { finishTraining, train } from "../../runtime/train.ts";
import type { LossOptions } from "../../runtime/gradient/losses.ts";
import { watchTensors } from "../calibrate.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  findHiddenUnits,
  importanceOf,
  keepNeurons,
  mostImportant,
  type HiddenUnits,
} from "../rewrite/hidden-units.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface NarrowOptions {
  /** Share of each row's hidden neurons that stays, 0 … 1. */
  readonly ratio: number;
}

/** Samples that say which neurons matter; the ranking is stable long before the whole training set was seen. */
const RANKING_SAMPLES = 2048;
/** Rows this wide stay multiples of eight, which is what vector kernels work in. */
const KERNEL_WIDTH = 8;

function widthAt(ratio: number, width: number): number {
  const wanted = Math.max(1, Math.round(width * ratio));
  return wanted < 4 * KERNEL_WIDTH ? wanted : Math.round(wanted / KERNEL_WIDTH) * KERNEL_WIDTH;
}

/** Mean square of each neuron's activation over the samples, by the activation's name. */
async function meanSquares(
  model: ModelGraph,
  rows: readonly HiddenUnits[],
  data: Dataset,
  context: Pick<TechniqueContext, "threads" | "signal">,
): Promise<Map<string, Float64Array>> {
  const sums = new Map(rows.map(({ activation, width }) => [activation, new Float64Array(width)]));
  const samples = sliceDataset(data, 0, Math.min(RANKING_SAMPLES, data.sampleCount));
  let positions = 0;
  await watchTensors(model, [...sums.keys()], samples, context, (name, value) => {
    const sum = sums.get(name)!;
    const values = value.data as Float32Array;
    for (let at = 0; at < values.length; at++) sum[at % sum.length] += values[at] ** 2;
    positions += values.length / sum.length;
  });
  // One divisor for all rows: only the order within a row matters.
  for (const sum of sums.values()) for (let at = 0; at < sum.length; at++) sum[at] /= positions;
  return sums;
}

/**
 * Half from the teacher, half from the labels where there are any, both at temperature 1: a student with fewer neurons than its
 * task can use learns less from softened scores (seen on MNIST's validation split: 0.3 points at 48 of 128 neurons).
 */
function distillation(data: Dataset): LossOptions {
  return { kind: "kl", temperature: 1, alpha: data.labels === undefined ? 1 : 0.5 };
}

/**
 * Keeps the given share of the neurons in every row of hidden units, the most important ones, and trains with the original as
 * teacher: Adam with a cosine schedule, loss `½·KL(teacher ‖ student) + ½·cross-entropy`.
 *
 * Fits chains of MatMul and Gemm with elementwise activations between them; other rows stay as wide as they are.
 */
export async function narrow(
  model: ModelGraph,
  options: NarrowOptions,
  context: Pick<TechniqueContext, "train" | "original" | "seed" | "threads" | "retrain" | "signal" | "onEpoch">,
): Promise<TechniqueResult> {
  if (context.train === undefined) return refused("narrower layers must be retrained, and no training data was given");
  const rows = findHiddenUnits(new GraphDraft(model)).filter(({ width }) => widthAt(options.ratio, width) < width);
  if (rows.length === 0) return refused("no hidden neurons between MatMul or Gemm layers that could be taken out");
  const squares = await meanSquares(model, rows, context.train, context);
  const cuts = await Promise.all(
    rows.map(async (units) => {
      const importance = await importanceOf(units, squares.get(units.activation)!);
      return { units, kept: mostImportant(importance, widthAt(options.ratio, units.width)) };
    }),
  );
  const smaller = await keepNeurons(model, cuts);
  const { epochs, batch, learningRate } = context.retrain;
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
  const notes = cuts.map(({ units, kept }) => `hidden neurons ${units.width} → ${kept.length}`);
  return made(result.model, [...notes, `distilled from the original for ${epochs} epochs`]);
}
