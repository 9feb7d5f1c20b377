// What a layer's input looks like on calibration data: mean and mean square per column; may depend on calibrate.
import type { ModelGraph } from "../model/graph.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";

/** Per column of the last axis, over all samples and positions. */
export interface InputStatistics {
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
}

/** Enough for a mean; the sums of more change nothing that eight bits can show. */
const MOST_SAMPLES = 2048;

/** Statistics of the tensors in `names`, by name; tensors that are not float32 are left out. */
export async function inputStatistics(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, InputStatistics>> {
  const sums = new Map<string, { first: Float64Array; second: Float64Array; count: number }>();
  const samples = sliceDataset(data, 0, Math.min(MOST_SAMPLES, data.sampleCount));
  await watchTensors(model, [...new Set(names)], samples, options, (name, { data: values, shape }) => {
    const width = shape.at(-1) ?? 1;
    if (!(values instanceof Float32Array) || width === 0) return;
    const sum = sums.get(name) ?? { first: new Float64Array(width), second: new Float64Array(width), count: 0 };
    sums.set(name, sum);
    for (let at = 0; at < values.length; at++) {
      const column = at % width;
      sum.first[column] += values[at];
      sum.second[column] += values[at] ** 2;
    }
    sum.count += values.length / width;
  });
  return new Map(
    [...sums].map(([name, { first, second, count }]) => {
      return [name, { mean: first.map((sum) => sum / count), meanSquare: second.map((sum) => sum / count) }];
    }),
  );
}
