// Pruning: weights that matter least become exactly zero, a few more after each epoch while the rest learns to do without them;
// may depend on model, sparsity, rewrite and recovery.
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import type { ParameterState } from "../../runtime/train-options.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import {
  cubicSparsity,
  keepLargest,
  keepTwoOfFour,
  survivorsOf,
  type Mask,
  type SummedAxis,
} from "../sparsity/mask.ts";
import { saliencies, type Criterion } from "../sparsity/saliency.ts";
import { recover, type RecoveryContext, type RecoveryOptions } from "./recovery.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

export const SCOPES = ["global", "layer"] as const;
export const PATTERNS = ["any", "2:4"] as const;

export interface PruneOptions extends LayerChoice, RecoveryOptions {
  /** Share of the chosen layers' weights that ends as zero, 0 … 1; half by definition for `2:4`. */
  readonly sparsity: number;
  readonly criterion: Criterion;
  /** Whether the layers are pruned against each other or each by the same share. */
  readonly scope: (typeof SCOPES)[number];
  readonly pattern: (typeof PATTERNS)[number];
}

/** Share of the epochs after which the last weight is pruned; the rest heals. */
const RAMP_SHARE = 0.6;

interface Prunable {
  readonly name: string;
  readonly values: Float32Array;
  readonly summed: SummedAxis;
}

/** The axis over which a layer's product sums: rows of `[K, N]`, columns of `[N, K]`, input channels of a convolution. */
function summedAxis(layer: LinearLayer): SummedAxis {
  const { shape } = layer.weight;
  if (layer.kind === "dense") {
    return layer.transposedWeight ? { length: layer.k, stride: 1 } : { length: layer.k, stride: layer.n };
  }
  return { length: shape[1], stride: shape.slice(2).reduce((product, size) => product * size, 1) };
}

/** One entry for each stored weight: layers that share one are pruned together. */
async function prunableWeights(layers: readonly LinearLayer[]): Promise<Prunable[]> {
  const byName = new Map(layers.map((layer) => [layer.weight.name, layer]));
  return Promise.all(
    [...byName].map(async ([name, layer]) => ({
      name,
      values: await readFloats(layer.weight),
      summed: summedAxis(layer),
    })),
  );
}

/** The masks at a sparsity, chosen among the weights that are left. */
function chooseMasks(
  weights: readonly Prunable[],
  state: Pick<ParameterState, "weights" | "secondMoment">,
  sparsity: number,
  options: PruneOptions,
): Map<string, Mask> {
  const ranked = weights.map(({ name, values }) =>
    saliencies(options.criterion, state.weights.get(name) ?? values, state.secondMoment.get(name)),
  );
  const kept = (length: number): number => Math.round(length * (1 - sparsity));
  const masks =
    options.pattern === "2:4"
      ? ranked.map((saliency, at) => keepTwoOfFour(saliency, weights[at].summed))
      : options.scope === "global"
        ? keepLargest(ranked, kept(ranked.reduce((sum, { length }) => sum + length, 0)))
        : ranked.map((saliency) => keepLargest([saliency], kept(saliency.length))[0]);
  return new Map(weights.map(({ name }, at) => [name, masks[at]]));
}

function applied(model: ModelGraph, weights: readonly Prunable[], masks: ReadonlyMap<string, Mask>): ModelGraph {
  const draft = new GraphDraft(model);
  for (const { name, values } of weights) {
    const mask = masks.get(name)!;
    const pruned = values.map((value, at) => (mask[at] === 0 ? 0 : value));
    draft.setInitializer(memoryTensor(name, float32Tensor(draft.initializer(name)!.shape, pruned)));
  }
  return draft.finish();
}

const zeroShare = (masks: Iterable<Mask>): number => {
  let zeros = 0;
  let total = 0;
  for (const mask of masks) {
    total += mask.length;
    for (const kept of mask) zeros += 1 - kept;
  }
  return zeros / total;
};

/**
 * Prunes Conv, Gemm and MatMul weights to a sparsity.
 *
 * With training data gradually, on the cubic schedule over the first 60 % of the epochs, distilled from the original throughout; the
 * curvature of `second-order` is Adam's running square of the gradient. `2:4` is cut at once, after the first epoch has shown the
 * curvature. Without training data, or for 0 epochs, by magnitude at once. What is zero already stays zero.
 *
 * The model becomes no smaller in plain ONNX, where zeros are stored like other numbers: `packed` stores it sparse.
 */
export async function prune(
  model: ModelGraph,
  options: PruneOptions,
  context: RecoveryContext,
): Promise<TechniqueResult> {
  const draft = new GraphDraft(model);
  const weights = await prunableWeights(chosenLayers(findLinearLayers(draft), options));
  if (weights.length === 0) return refused("no MatMul, Gemm or Conv with constant float32 weights to prune");
  const sparsity = options.pattern === "2:4" ? 0.5 : options.sparsity;
  const epochs = options.epochs ?? context.retrain.epochs;
  const stored = { weights: new Map<string, Float32Array>(), secondMoment: new Map<string, Float32Array>() };
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  if (context.train === undefined || epochs === 0) {
    if (options.criterion !== "magnitude") return refused("second-order pruning needs training data and epochs");
    const masks = chooseMasks(weights, stored, sparsity, options);
    return made(applied(draft.finish(), weights, masks), [
      `${percent(zeroShare(masks.values()))} of the weights pruned`,
    ]);
  }
  const masks = new Map(weights.map(({ name, values }) => [name, survivorsOf(values)]));
  const initial = zeroShare(masks.values());
  const ramp = options.pattern === "2:4" ? 1 : Math.max(1, Math.round(epochs * RAMP_SHARE));
  const recovered = await recover(draft.finish(), context.train, options, context, {
    masks,
    remask: (state) =>
      state.epoch > ramp
        ? undefined
        : chooseMasks(weights, state, cubicSparsity(initial, sparsity, state.epoch, ramp), options),
  });
  const trained = await Promise.all(
    weights.map(async ({ name }) => survivorsOf(await readFloats(recovered.model.graph.initializers.get(name)!))),
  );
  return made(recovered.model, [`${percent(zeroShare(trained))} of the weights pruned`, recovered.note]);
}
