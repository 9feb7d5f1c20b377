// The Gram matrix XᵀX of layers' inputs on calibration data, summed in a stream; may depend on calibrate, model and runtime.
import { int } from "../model/attributes.ts";
import { model as graphModel, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { openSession } from "../runtime/session.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";

/** `XᵀX` `[width, width]`, row-major, over `count` rows of X. */
export interface Gram {
  readonly width: number;
  readonly sums: Float64Array;
  readonly count: number;
}

/** Rows beyond these change the weights' rounding no more than another seed of the data does. */
const MOST_SAMPLES = 1024;

/** `XᵀX` for rows of any number and width, so that the engine's own product does the work. */
function gramModel(): ModelGraph {
  return graphModel({
    nodes: [node("Gemm", ["x", "x"], ["gram"], { transA: int(1) })],
    inputs: [tensorInfo("x", "float32", ["rows", "width"])],
    outputs: [tensorInfo("gram", "float32", ["width", "width"])],
  });
}

/**
 * Gram matrices of the tensors in `names` along their last axis, all other axes being rows; tensors that are not float32 are
 * left out. Products within one run are float32, sums over runs float64. Takes 8·width² bytes a tensor.
 * @throws LightfootError as `watchTensors`
 */
export async function inputGrams(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, Gram>> {
  const grams = new Map<string, { width: number; sums: Float64Array; count: number }>();
  const samples = sliceDataset(data, 0, Math.min(MOST_SAMPLES, data.sampleCount));
  const product = await openSession(await serializeOnnx(gramModel()), { threads: options.threads, name: "gram" });
  try {
    await watchTensors(model, [...new Set(names)], samples, options, async (name, { data: values, shape }) => {
      const width = shape.at(-1) ?? 1;
      if (!(values instanceof Float32Array) || width === 0) return;
      const rows = values.length / width;
      const found = grams.get(name) ?? { width, sums: new Float64Array(width * width), count: 0 };
      grams.set(name, found);
      const { gram } = await product.run({ x: float32Tensor([rows, width], values) });
      const added = gram.data as Float32Array;
      for (let at = 0; at < added.length; at++) found.sums[at] += added[at];
      found.count += rows;
    });
  } finally {
    await product.close();
  }
  return grams;
}
