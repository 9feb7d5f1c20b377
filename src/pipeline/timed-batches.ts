// The batch sizes at which a search times models when nobody named any; may depend on model, cost, quantity, runtime and compress.
import { sampleShapes } from "../compress/profile.ts";
import { analyze } from "../cost/analyze.ts";
import { readOnnx } from "../model/onnx/read.ts";
import type { Assumption } from "../quantity/figure.ts";
import { formatCount } from "../quantity/format.ts";
import { bindDataset } from "../runtime/bind-dataset.ts";
import type { Dataset } from "../runtime/dataset.ts";

const MANY = 32;
/** Multiply-adds of a run from which on many samples at once cost a search minutes for each candidate. */
const MOST_MACS = 2e10;

export interface TimedBatches {
  readonly batches: readonly number[];
  readonly assumptions: readonly Assumption[];
}

/**
 * The batches that were named; else one sample and 32, one alone where 32 take more than 2·10¹⁰ multiply-adds, or what the model at
 * `path` takes where it fixes its first axis.
 *
 * @throws LightfootError E_DATA when data and model do not fit
 */
export async function timedBatches(
  path: string,
  dataset: Dataset,
  named: readonly number[] | undefined,
): Promise<TimedBatches> {
  if (named !== undefined) return { batches: named, assumptions: [] };
  const model = await readOnnx(path);
  const { inputs, initializers } = model.graph;
  const fed = inputs.flatMap(({ name, type }) =>
    type?.kind === "tensor" && !initializers.has(name) ? [{ name, dtype: type.dtype, shape: type.shape ?? [] }] : [],
  );
  const { fixedBatch } = bindDataset(dataset, fed);
  if (fixedBatch !== undefined) {
    const text = `The model takes ${fixedBatch} sample${fixedBatch === 1 ? "" : "s"} a run: latency and energy are those of batch ${fixedBatch}.`;
    return { batches: [fixedBatch], assumptions: [{ key: "compress.fixed-batch", text }] };
  }
  const { macs } = await analyze(model, { inputs: sampleShapes(model, dataset) });
  if (MANY * macs <= MOST_MACS) return { batches: [1, MANY], assumptions: [] };
  const text = `One sample takes ${formatCount(macs)} multiply-adds, so that latency and energy are those of batch 1 alone; name others to time them too.`;
  return { batches: [1], assumptions: [{ key: "compress.one-batch", text }] };
}
