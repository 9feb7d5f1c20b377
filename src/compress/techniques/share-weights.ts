// Weight sharing: the weights of each layer, or of all, take a few values, which training then moves; may depend on io, model,
// quantize, sparsity, rewrite and recovery.
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../io/half.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { clusterAroundZero, clusterValues } from "../quantize/cluster.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice } from "../rewrite/linear.ts";
import {
  fromCodebookForm,
  prunedMasks,
  sharedWeights,
  toCodebookForm,
  type SharedWeight,
} from "../sparsity/kept-structure.ts";
import { recover, type RecoveryContext, type RecoveryOptions } from "./recovery.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

export interface ShareWeightsOptions extends LayerChoice, RecoveryOptions {
  /** Distinct values in each layer, 2 … 256; a zero that pruning left is one of them. */
  readonly values: number;
  /** Distinct values in each layer's bias, where it has at least four times as many elements; left out, biases stay as they are. */
  readonly biasValues?: number;
  /**
   * Numbers of this type are all that shared values, also those of earlier steps, and the layers' biases are in the end, so that coders need
   * half the bytes for each.
   */
  readonly precision?: "float16" | "bfloat16";
}

/** A codebook for fewer elements than this a value is no saving. */
const LEAST_REPEATS = 4;

/**
 * Rounds each layer's weights to the best few values (exact one-dimensional k-means), and with training data moves the values by
 * gradients that sum over each cluster; biases learn along. Other layers learn along too, with the zeros and shared values that earlier
 * steps gave them: where layers are shared one after another, those still free make up for the others.
 *
 * The model becomes no smaller in plain ONNX: `packed` stores indices and codebook.
 */
export async function shareWeights(
  model: ModelGraph,
  options: ShareWeightsOptions,
  context: RecoveryContext,
): Promise<TechniqueResult> {
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  if (layers.length === 0) return refused("no MatMul, Gemm or Conv with constant float32 weights to share");
  const tensors = new Map(layers.map(({ weight }) => [weight.name, weight]));
  const shared: SharedWeight[] = [];
  for (const [name, tensor] of tensors) {
    const { centers, indices } = clusterAroundZero(await readFloats(tensor), options.values);
    shared.push({ name, shape: tensor.shape, codebook: centers, indices });
  }
  for (const { bias } of options.biasValues === undefined ? [] : layers) {
    if (bias === undefined || elementCount(bias.shape) < LEAST_REPEATS * options.biasValues!) continue;
    if (shared.some(({ name }) => name === bias.name)) continue;
    const { centers, indices } = clusterValues(await readFloats(bias), options.biasValues!);
    shared.push({ name: bias.name, shape: bias.shape, codebook: centers, indices });
  }
  for (const { name, shape, codebook, indices } of shared) {
    draft.setInitializer(
      memoryTensor(
        name,
        float32Tensor(
          shape,
          Float32Array.from(indices, (index) => codebook[index]),
        ),
      ),
    );
  }
  const rounded = draft.finish();
  const note = `${shared.map(({ codebook }) => codebook.length).join(", ")} distinct values in ${shared.length} tensors`;
  const chosen = new Set(shared.map(({ name }) => name));
  const all = [...shared, ...(await sharedWeights(rounded)).filter(({ name }) => !chosen.has(name))];
  const { precision } = options;
  const names = new Set([...all.map(({ name }) => name), ...layers.flatMap(({ bias }) => bias?.name ?? [])]);
  const finish = async (result: ModelGraph, notes: readonly string[]): Promise<TechniqueResult> =>
    made(precision === undefined ? result : await inPrecision(result, names, precision), notes);
  if (context.train === undefined || options.epochs === 0) return finish(rounded, [note]);
  const form = toCodebookForm(rounded, all);
  const masks = new Map([...(await prunedMasks(form.model)), ...form.masks]);
  const recovered = await recover(form.model, context.train, options, context, { masks });
  return finish(await fromCodebookForm(rounded, recovered.model, all, form), [note, recovered.note]);
}

/** Still stored as float32: values that were equal stay equal, and their last bytes are zero. */
async function inPrecision(
  model: ModelGraph,
  names: Iterable<string>,
  precision: "float16" | "bfloat16",
): Promise<ModelGraph> {
  const draft = new GraphDraft(model);
  for (const name of names) {
    const tensor = draft.initializer(name)!;
    const values = await readFloats(tensor);
    const rounded =
      precision === "float16" ? decodeFloat16(encodeFloat16(values)) : decodeBfloat16(encodeBfloat16(values));
    draft.setInitializer(memoryTensor(name, float32Tensor(tensor.shape, rounded)));
  }
  return draft.finish();
}
