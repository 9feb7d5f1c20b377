// Weight-only quantisation: 8- or 4-bit weights in the file, float arithmetic around them; may depend on rewrite and quantize.
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { inputStatistics, type InputStatistics } from "../input-statistics.ts";
import { quantizeChannels } from "../quantize/affine.ts";
import { dequantizeBlocks, quantizeBlocks, type BlockSize } from "../quantize/blockwise.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseBias,
  denseWeight,
  findLinearLayers,
  isDense,
  type DenseLayer,
  type LayerChoice,
} from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

const CONTRIB = "com.microsoft";
/** First operator set whose DequantizeLinear takes a scale per channel. */
const NEEDED_OPSET = 13;

export interface BlockwiseOptions extends LayerChoice {
  readonly bits: 4 | 8;
  readonly blockSize: BlockSize;
  readonly symmetric: boolean;
  /** 4 computes with 8-bit activations and is many times faster for 8 bits; 0 keeps them float. */
  readonly accuracyLevel: 0 | 4;
}

function upright(draft: GraphDraft, layer: DenseLayer): { input: string; nodes: Node[] } {
  if (!layer.transposedInput) return { input: layer.input, nodes: [] };
  const input = draft.fresh(`${layer.input}_t`);
  return { input, nodes: [operator("Transpose", [layer.input], [input])] };
}

/**
 * The bias that makes up for the mean of what rounding took away: `b + E[x]·(W − Ŵ)`. Undefined when there is nothing to add.
 */
function correctedBias(
  bias: Float32Array | undefined,
  weight: Float32Array,
  rounded: Float32Array,
  mean: Float64Array | undefined,
  n: number,
): Float32Array | undefined {
  if (mean === undefined || bias === undefined) return bias;
  return bias.map((value, column) => {
    let shift = 0;
    for (let row = 0; row < mean.length; row++) {
      shift += mean[row] * (weight[row * n + column] - rounded[row * n + column]);
    }
    return value + shift;
  });
}

async function blockwiseNode(
  draft: GraphDraft,
  layer: DenseLayer,
  options: BlockwiseOptions,
  seen: InputStatistics | undefined,
): Promise<Node[]> {
  const { k, n } = layer;
  const { bits, blockSize } = options;
  const values = await denseWeight(layer);
  const blocked = quantizeBlocks(values, k, n, options, seen?.meanSquare);
  const { packed, scales, zeroPoints, blocks } = blocked;
  const rounded = dequantizeBlocks(blocked, k, n, options);
  const bias = correctedBias(await denseBias(layer), values, rounded, seen?.mean, n);
  const { input, nodes } = upright(draft, layer);
  const stem = layer.weight.name;
  const weight = draft.constant(`${stem}_q`, {
    dtype: "uint8",
    shape: [n, blocks, (blockSize * bits) / 8],
    data: packed,
  });
  const inputs = [input, weight, draft.constant(`${stem}_s`, float32Tensor([n, blocks], scales))];
  if (zeroPoints !== undefined) {
    const shape = [n, zeroPoints.length / n];
    inputs.push(draft.constant(`${stem}_z`, { dtype: "uint8", shape, data: zeroPoints }));
  }
  if (bias !== undefined) {
    // Zero points and the order of groups come before the bias; "" leaves an optional input out.
    while (inputs.length < 5) inputs.push("");
    inputs.push(draft.constant(layer.bias!.name, float32Tensor([n], bias)));
  }
  const attributes = {
    K: int(k),
    N: int(n),
    bits: int(bits),
    block_size: int(blockSize),
    ...(options.accuracyLevel === 0 ? {} : { accuracy_level: int(options.accuracyLevel) }),
  };
  return [...nodes, operator("MatMulNBits", inputs, [layer.output], attributes, { domain: CONTRIB })];
}

/**
 * Replaces each MatMul and Gemm with constant weights by ONNX Runtime's `MatMulNBits`: blocks of weights along K share a scale.
 *
 * With calibration data an error counts by the mean square of the input it meets, and the bias makes up for the mean error.
 * Runs in ONNX Runtime only (operator domain `com.microsoft`). Convolutions have no such kernel and stay as they are.
 */
export async function weightOnlyBlocks(
  model: ModelGraph,
  options: BlockwiseOptions,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal">,
): Promise<TechniqueResult> {
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  const dense = layers.filter(isDense);
  if (dense.length === 0) return refused("no MatMul or Gemm with constant float32 weights to quantise");
  const names = dense.filter(({ transposedInput }) => !transposedInput).map(({ input }) => input);
  const seen =
    context.calibration === undefined
      ? new Map<string, InputStatistics>()
      : await inputStatistics(draft.finish(), names, context.calibration, context);
  for (const layer of dense) {
    draft.replaceAll(layer.nodes, await blockwiseNode(draft, layer, options, seen.get(layer.input)));
  }
  draft.requireOpset(CONTRIB, 1);
  const convs = layers.length - dense.length;
  return made(draft.finish(), convs === 0 ? [] : [`${convs} convolutions stay float: MatMulNBits has no convolution`]);
}

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
    const { input, nodes } = upright(draft, layer);
    const product = bias === undefined ? layer.output : draft.fresh(`${layer.output}_p`);
    draft.replaceAll(layer.nodes, [
      ...nodes,
      operator("DequantizeLinear", [stored, scale], [restored], { axis: int(1) }),
      operator("MatMul", [input, restored], [product]),
      ...(bias === undefined
        ? []
        : [operator("Add", [product, draft.constant(layer.bias!.name, float32Tensor([n], bias))], [layer.output])]),
    ]);
  }
  const convs = layers.length - dense.length;
  return made(draft.finish(), convs === 0 ? [] : [`${convs} convolutions keep float weights`]);
}
