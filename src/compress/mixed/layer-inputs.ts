// What flows into each layer when the model runs on real samples, kept small; one run of the engine; may depend on model, runtime and this room.
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import type { TensorValue } from "../../model/tensor-value.ts";
import { bindDataset } from "../../runtime/bind-dataset.ts";
import { createDataset, sliceDataset, type Dataset } from "../../runtime/dataset.ts";
import { sliceTensor } from "../../runtime/sample-set.ts";
import { openSession } from "../../runtime/session.ts";
import { exposing } from "../calibrate.ts";

/** A layer's input is cut to this along its first axis. */
const MOST_BYTES = 4 * 2 ** 20;

/** Values of the tensors in `names` for the first `count` samples in one run (or as many as the model takes at once), by name. */
export async function captureInputs(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  count: number,
  threads: number | undefined,
): Promise<Map<string, TensorValue>> {
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const computed = [...new Set(names)].filter((name) => !inputs.has(name));
  const session = await openSession(await serializeOnnx(exposing(model, computed)), { threads, name: "sensitivity" });
  try {
    const bound = bindDataset(data, session.inputs);
    const { feeds } = bound.feeds(0, Math.min(bound.fixedBatch ?? count, data.sampleCount));
    const outputs = computed.length === 0 ? {} : await session.run(feeds, computed);
    const seen = new Map<string, TensorValue>();
    for (const name of names) {
      const value = outputs[name] ?? feeds[name];
      // A vector has no axis left that a kernel could work along.
      if (value?.data instanceof Float32Array && value.shape.length >= 2 && value.data.length > 0) {
        seen.set(name, cut(value));
      }
    }
    return seen;
  } finally {
    await session.close();
  }
}

function cut(value: TensorValue): TensorValue {
  const rows = value.shape[0];
  const most = Math.max(1, Math.floor(MOST_BYTES / (value.data.byteLength / rows)));
  return most >= rows ? value : sliceTensor(value, 0, most);
}

/** A captured tensor as samples for the layer that was cut out; `rows` at most. */
export function asDataset(name: string, value: TensorValue, rows = value.shape[0]): Dataset {
  const whole = createDataset({ name: `input of ${name}`, inputs: new Map([[name, value]]) });
  return sliceDataset(whole, 0, Math.min(rows, value.shape[0]));
}
