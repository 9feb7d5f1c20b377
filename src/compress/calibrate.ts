// Runs a model on calibration samples and watches chosen tensors; memory grows with the tensors, not with the samples;
// may depend on model, runtime and quantize.
import { LightfootError } from "../errors/index.ts";
import type { ModelGraph, ValueInfo } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { bindDataset } from "../runtime/bind-dataset.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { openSession } from "../runtime/session.ts";
import type { TensorValue } from "../model/tensor-value.ts";

export interface WatchOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

/** What is known of watched values beforehand. */
export interface WatchedValues {
  /** Bytes that a value stands for while the model runs, where these are not its own. */
  readonly bytesBehind?: (name: string, value: TensorValue) => number;
  /** Memory for values whose shape never changes, filled again by each run. */
  readonly targets?: Readonly<Record<string, TensorValue>>;
}

const MOST_SAMPLES_A_RUN = 64;
/** What the watched tensors of one run may take together: the first sample tells how large one sample's are. */
const RUN_BYTES = 16 * 2 ** 20;

/** The same model that also gives out `names`, so that ONNX Runtime keeps them through its optimisations. */
export function exposing(model: ModelGraph, names: readonly string[]): ModelGraph {
  const { graph } = model;
  const known = new Set(graph.outputs.map(({ name }) => name));
  const added = names
    .filter((name) => !known.has(name))
    .map((name): ValueInfo => {
      return { name, type: { kind: "tensor", dtype: "float32", shape: undefined } };
    });
  return { ...model, graph: { ...graph, outputs: [...graph.outputs, ...added] } };
}

/**
 * Feeds `dataset` through `model` batch by batch and hands each batch's value of every tensor in `names` to `see`.
 *
 * The values are gone after the call: whoever needs them longer keeps a digest of them (a histogram, a sum), not a copy.
 * @throws LightfootError E_INTERRUPTED when `signal` fires, E_DATA when data and model do not fit
 */
export async function watchTensors(
  model: ModelGraph,
  names: readonly string[],
  dataset: Dataset,
  options: WatchOptions,
  see: (name: string, value: TensorValue, rows: number) => void | Promise<void>,
  { bytesBehind = (_name, { data }) => data.byteLength, targets = {} }: WatchedValues = {},
): Promise<void> {
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const computed = names.filter((name) => !inputs.has(name));
  const fetches = Object.fromEntries(computed.map((name) => [name, targets[name] ?? null]));
  const session = await openSession(await serializeOnnx(exposing(model, computed)), {
    threads: options.threads,
    name: "calibration",
  });
  try {
    const bound = bindDataset(dataset, session.inputs);
    let batch = bound.fixedBatch ?? 1;
    for (let start = 0, end = 0; start < dataset.sampleCount; start = end) {
      if (options.signal?.aborted) throw new LightfootError("E_INTERRUPTED", "calibration was stopped");
      end = Math.min(start + batch, dataset.sampleCount);
      const { feeds, count } = bound.feeds(start, end);
      const outputs = computed.length === 0 ? {} : await session.run(feeds, fetches);
      let bytes = 0;
      for (const name of names) {
        const value = outputs[name] ?? feeds[name];
        if (value === undefined) continue;
        bytes += bytesBehind(name, value);
        await see(name, value, count);
      }
      if (start === 0 && bound.fixedBatch === undefined) {
        batch = Math.max(1, Math.min(MOST_SAMPLES_A_RUN, Math.floor(RUN_BYTES / bytes)));
      }
    }
  } finally {
    await session.close();
  }
}
