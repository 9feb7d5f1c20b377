// What a layer's input looks like on calibration data: mean, mean square and extremes per column; may depend on calibrate.
import type { ModelGraph } from "../model/graph.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";

/** Per column of the last axis, over all samples and positions. */
export interface InputStatistics {
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
  /** Largest magnitude. */
  readonly largest: Float64Array;
  /** A few rows as they were, spread over the samples: `[rows, columns]`. */
  readonly rows: Float32Array;
}

/** Enough for a mean; the sums of more change nothing that eight bits can show. */
const MOST_SAMPLES = 2048;
/** Rows kept of each tensor, and of one run of the model. */
const MOST_ROWS = 64;
const MOST_ROWS_A_RUN = 8;

interface Sums {
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly largest: Float64Array;
  count: number;
  readonly kept: Float32Array[];
}

/** Statistics of the tensors in `names`, by name; tensors that are not float32 are left out. */
export async function inputStatistics(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, InputStatistics>> {
  const sums = new Map<string, Sums>();
  const samples = sliceDataset(data, 0, Math.min(MOST_SAMPLES, data.sampleCount));
  await watchTensors(model, [...new Set(names)], samples, options, (name, { data: values, shape }) => {
    const width = shape.at(-1) ?? 1;
    if (!(values instanceof Float32Array) || width === 0) return;
    const sum = sums.get(name) ?? {
      first: new Float64Array(width),
      second: new Float64Array(width),
      largest: new Float64Array(width),
      count: 0,
      kept: [],
    };
    sums.set(name, sum);
    for (let at = 0; at < values.length; at++) {
      const column = at % width;
      sum.first[column] += values[at];
      sum.second[column] += values[at] ** 2;
      sum.largest[column] = Math.max(sum.largest[column], Math.abs(values[at]));
    }
    const rows = values.length / width;
    sum.count += rows;
    const stride = Math.max(1, Math.floor(rows / MOST_ROWS_A_RUN));
    for (let row = 0; row < rows && sum.kept.length < MOST_ROWS; row += stride) {
      sum.kept.push(values.slice(row * width, (row + 1) * width));
    }
  });
  return new Map(
    [...sums].map(([name, { first, second, largest, count, kept }]) => {
      const rows = new Float32Array(kept.length * first.length);
      kept.forEach((row, at) => rows.set(row, at * first.length));
      return [
        name,
        { mean: first.map((sum) => sum / count), meanSquare: second.map((sum) => sum / count), largest, rows },
      ];
    }),
  );
}
