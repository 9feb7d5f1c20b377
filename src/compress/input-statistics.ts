// What a layer's input looks like on calibration data: mean, mean square and extremes per column; may depend on io, model, runtime and
// calibrate.
import { SpillFile } from "../io/spill-file.ts";
import type { ModelGraph } from "../model/graph.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { watchBySegment, type WatchOptions } from "./calibrate.ts";

/** Per column of the last axis, over all samples and positions. */
export interface InputStatistics {
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
  /** Largest magnitude. */
  readonly largest: Float64Array;
  /** A few rows as they were, spread over the samples: `[rows, columns]`. Read from disk each time. */
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

/** Sums of one tensor as statistics; its rows lie in a file until somebody asks. */
class Seen implements InputStatistics {
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
  readonly largest: Float64Array;
  readonly #read: () => Uint8Array;

  constructor({ first, second, largest, count, kept }: Sums, file: SpillFile) {
    this.mean = first.map((sum) => sum / count);
    this.meanSquare = second.map((sum) => sum / count);
    this.largest = largest;
    const rows = new Float32Array(kept.length * first.length);
    kept.forEach((row, at) => rows.set(row, at * first.length));
    this.#read = file.put(new Uint8Array(rows.buffer));
  }

  get rows(): Float32Array {
    return new Float32Array(this.#read().buffer);
  }
}

/** Statistics of the tensors in `names`, by name; tensors that are not float32 are left out. @throws LightfootError as `watchTensors` */
export async function inputStatistics(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, InputStatistics>> {
  const sums = new Map<string, Sums>();
  const samples = sliceDataset(data, 0, Math.min(MOST_SAMPLES, data.sampleCount));
  const see = (name: string, { data: values, shape }: TensorValue): void => {
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
  };
  const seen = new Map<string, InputStatistics>();
  const file = new SpillFile();
  const groups = [...new Set(names)].map((name) => ({ names: [name] }));
  for await (const done of watchBySegment(model, groups, samples, options, see)) {
    for (const name of done) {
      const sum = sums.get(name);
      sums.delete(name);
      if (sum !== undefined) seen.set(name, new Seen(sum, file));
    }
  }
  return seen;
}
