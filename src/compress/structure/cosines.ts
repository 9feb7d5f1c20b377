// How nearly the output of a residual block points where its input does, on calibration data, summed inside the graph; may depend
// on model, runtime, rewrite and calibrate.
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { int64Tensor } from "../../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../../runtime/dataset.ts";
import { watchTensors, type WatchOptions } from "../calibrate.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import type { ResidualBlock } from "./residual-blocks.ts";

/** The order of blocks is stable after a few hundred samples. */
const MOST_SAMPLES = 512;

/**
 * Mean over positions of cos(x, x + f(x)), by the block's output: positions are samples and tokens (vectors along the last axis), or
 * samples and places of an image (vectors of channels).
 */
export async function cosines(
  model: ModelGraph,
  blocks: readonly ResidualBlock[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, number>> {
  const draft = new GraphDraft(model);
  const watched = new Map<string, { readonly block: ResidualBlock; readonly width: number }>();
  const flat = draft.constant("cosine_shape", int64Tensor([3], [1, 1, -1]));
  for (const block of blocks) {
    const axis = block.shape.length === 4 ? 1 : block.shape.length - 1;
    const width = block.shape[axis];
    if (typeof width !== "number") continue;
    const emit = (opType: string, inputs: readonly string[], attributes = {}) => {
      const name = draft.fresh(`${block.output}_${opType}`);
      draft.nodes.push(node(opType, inputs, [name], attributes));
      return name;
    };
    const unit = (name: string) => emit("LpNormalization", [name], { axis: int(axis), p: int(2) });
    const products = emit("Mul", [unit(block.input), unit(block.output)]);
    watched.set(emit("GlobalAveragePool", [emit("Reshape", [products, flat])]), { block, width });
  }
  const sums = new Map<string, { total: number; rows: number }>();
  const samples = sliceDataset(data, 0, Math.min(MOST_SAMPLES, data.sampleCount));
  await watchTensors(draft.finish(), [...watched.keys()], samples, options, (name, { data: values }, rows) => {
    const { block, width } = watched.get(name)!;
    const sum = sums.get(block.output) ?? { total: 0, rows: 0 };
    sum.total += Number(values[0]) * width * rows;
    sum.rows += rows;
    sums.set(block.output, sum);
  });
  return new Map([...sums].map(([output, { total, rows }]) => [output, total / rows]));
}
