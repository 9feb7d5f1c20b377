// The batch sizes at which a search times models when nobody named any; may depend on model, quantity and runtime.
import { readOnnx } from "../model/onnx/read.ts";
import type { Assumption } from "../quantity/figure.ts";
import { bindDataset } from "../runtime/bind-dataset.ts";
import type { Dataset } from "../runtime/dataset.ts";

const USUAL: readonly number[] = [1, 32];

/**
 * One sample and many; or, where the model at `path` fixes its first axis, what it takes.
 *
 * @throws LightfootError E_DATA when data and model do not fit
 */
export async function timedBatches(
  path: string,
  dataset: Dataset,
): Promise<{ readonly batches: readonly number[]; readonly assumptions: readonly Assumption[] }> {
  const { inputs, initializers } = (await readOnnx(path)).graph;
  const fed = inputs.flatMap(({ name, type }) =>
    type?.kind === "tensor" && !initializers.has(name) ? [{ name, dtype: type.dtype, shape: type.shape ?? [] }] : [],
  );
  const { fixedBatch } = bindDataset(dataset, fed);
  if (fixedBatch === undefined) return { batches: USUAL, assumptions: [] };
  const text = `The model takes ${fixedBatch} sample${fixedBatch === 1 ? "" : "s"} a run: latency and energy are those of batch ${fixedBatch}.`;
  return { batches: [fixedBatch], assumptions: [{ key: "compress.fixed-batch", text }] };
}
