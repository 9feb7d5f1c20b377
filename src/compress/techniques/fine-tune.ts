// Recovery after any other technique: every parameter, or only scales, biases and norms, trained to answer like the original again;
// may depend on model, sparsity and recovery.
import type { ModelGraph, Node } from "../../model/graph.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { fromCodebookForm, prunedMasks, sharedWeights, toCodebookForm } from "../sparsity/kept-structure.ts";
import { recover, type RecoveryContext, type RecoveryOptions } from "./recovery.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

const NEEDS_DATA = "fine-tuning needs training data, and none was given";

/**
 * Trains every float32 parameter. What earlier steps made of the weights stays: pruned weights remain exactly zero, shared ones
 * shared; their codebook moves.
 */
export async function fineTune(
  model: ModelGraph,
  options: RecoveryOptions,
  context: RecoveryContext,
): Promise<TechniqueResult> {
  if (context.train === undefined) return refused(NEEDS_DATA);
  const shared = await sharedWeights(model);
  const form = toCodebookForm(model, shared);
  const masks = new Map([...(await prunedMasks(form.model)), ...form.masks]);
  const recovered = await recover(form.model, context.train, options, context, { masks });
  return made(await fromCodebookForm(model, recovered.model, shared, form), [recovered.note]);
}

/** Inputs by position that shift, scale or normalize whole channels. */
const SMALL_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Add: [0, 1],
  BatchNormalization: [1, 2],
  Conv: [2],
  ConvTranspose: [2],
  DequantizeLinear: [1],
  Gemm: [2],
  GroupNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  Mul: [0, 1],
};

/** An int32 bias is stored in units of its layer's scales: those cannot move without it. */
const hasIntegerBias = (draft: GraphDraft): boolean =>
  draft.nodes.some(
    (node) => node.opType === "DequantizeLinear" && draft.initializer(node.inputs[0])?.dtype === "int32",
  );

/** Names of the float32 vectors that act on whole channels. */
function smallTensors(draft: GraphDraft): string[] {
  const fixedScales = hasIntegerBias(draft);
  const isSmall = (node: Node, name: string): boolean => {
    const tensor = draft.initializer(name);
    if (tensor === undefined || tensor.dtype !== "float32") return false;
    if (node.opType === "DequantizeLinear") return !fixedScales && draft.initializer(node.inputs[0]) !== undefined;
    return tensor.shape.filter((size) => size > 1).length === 1;
  };
  const names = draft.nodes.flatMap((node) =>
    (SMALL_INPUTS[node.opType] ?? []).map((at) => node.inputs[at] ?? "").filter((name) => isSmall(node, name)),
  );
  return [...new Set(names)];
}

/**
 * Trains biases, normalization scales and shifts, and the scales of weights stored as integers; all other weights keep their bytes.
 * Batch statistics are left as they are.
 */
export async function tuneSmall(
  model: ModelGraph,
  options: RecoveryOptions,
  context: RecoveryContext,
): Promise<TechniqueResult> {
  if (context.train === undefined) return refused(NEEDS_DATA);
  const draft = new GraphDraft(model);
  const names = smallTensors(draft);
  if (names.length === 0) return refused("no biases, norms or scales in float32 to tune");
  // A pattern is made of the name itself: what it means as a pattern must not catch another tensor.
  const trainable = names.map((name) => name.replaceAll(/[*?]/g, "?"));
  const recovered = await recover(draft.finish(), context.train, options, context, {
    trainable,
    batchNormalization: "freeze",
  });
  return made(recovered.model, [`${names.length} scales, biases and norms tuned: ${recovered.note}`]);
}
