// Weight-only int8 with one scale per column, in standard operators; may depend on model, rewrite and quantize.
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { quantizeChannels } from "../quantize/affine.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseBias,
  denseWeight,
  findLinearLayers,
  isDense,
  uprightInput,
  type LayerChoice,
} from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

/** First operator set whose DequantizeLinear takes a scale per channel. */
const NEEDED_OPSET = 13;

/**
 * Minus the bias, to be taken away: the same sum, bit for bit. An Add would make ONNX Runtime see a Gemm, which together with a Relu
 * it runs in float, the weights expanded anew each time (six times slower for 800 × 500 at batch 1).
 */
const negated = (draft: GraphDraft, name: string, bias: Float32Array): string =>
  draft.constant(
    `${name}_n`,
    float32Tensor(
      [bias.length],
      bias.map((value) => -value),
    ),
  );

/**
 * Stores the weights of MatMul and Gemm as int8 with one scale per column behind a standard `DequantizeLinear`.
 *
 * The smallest 8-bit form, and any ONNX runtime opens it. Convolutions are left out: their weights would be expanded anew at each
 * inference.
 */
export async function weightOnlyColumns(model: ModelGraph, options: LayerChoice = {}): Promise<TechniqueResult> {
  const raised = await raiseOpset(model, NEEDED_OPSET);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  const dense = layers.filter(isDense);
  if (dense.length === 0) return refused("no MatMul or Gemm with constant float32 weights to quantise");
  for (const layer of dense) {
    const { k, n } = layer;
    const { data, scales } = quantizeChannels(await denseWeight(layer), [k, n], 1, { dtype: "int8", bits: 8 });
    const stem = layer.weight.name;
    const stored = draft.constant(`${stem}_q`, { dtype: "int8", shape: [k, n], data });
    const scale = draft.constant(`${stem}_s`, float32Tensor([n], scales));
    const restored = draft.fresh(`${stem}_d`);
    const bias = await denseBias(layer);
    const { input, nodes } = uprightInput(draft, layer);
    const product = bias === undefined ? layer.output : draft.fresh(`${layer.output}_p`);
    draft.replaceAll(layer.nodes, [
      ...nodes,
      operator("DequantizeLinear", [stored, scale], [restored], { axis: int(1) }),
      operator("MatMul", [input, restored], [product]),
      ...(bias === undefined
        ? []
        : [operator("Sub", [product, negated(draft, layer.bias!.name, bias)], [layer.output])]),
    ]);
  }
  const convs = layers.length - dense.length;
  return made(draft.finish(), convs === 0 ? [] : [`${convs} convolutions keep float weights`]);
}
