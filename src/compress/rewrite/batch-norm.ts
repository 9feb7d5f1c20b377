// Folds a batch normalization into the Conv, Gemm or MatMul before it; may depend on model, draft and linear.
import { floatAttribute, intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { typeIn, type ShapeInference } from "../../model/shapes/inference.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import type { GraphDraft } from "./draft.ts";
import { denseBias, findLinearLayers, isDense, type LinearLayer } from "./linear.ts";

/** `y = factor · x + shift`, one of each for every channel, in double precision. */
export interface ChannelMap {
  readonly factors: Float64Array;
  readonly shifts: Float64Array;
}

/** The normalization as a linear map; undefined where its statistics are not constant, or are those of the batch. */
export async function channelMap(draft: GraphDraft, node: Node): Promise<ChannelMap | undefined> {
  // Before 7 a flag told training from inference; before 9 another could keep statistics for each position.
  if (draft.opset < 7 || intAttribute(node, "spatial", 1) !== 1 || intAttribute(node, "training_mode", 0) !== 0)
    return undefined;
  if (node.outputs.slice(1).some((name) => name !== "")) return undefined;
  const parameters = node.inputs.slice(1).map((name) => draft.initializer(name));
  if (parameters.length !== 4 || parameters.some((tensor) => tensor?.dtype !== "float32")) return undefined;
  const [scale, shift, mean, variance] = await Promise.all((parameters as TensorRef[]).map(readFloats));
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const factors = Float64Array.from(scale, (value, at) => value / Math.sqrt(variance[at] + epsilon));
  const shifts = Float64Array.from(shift, (value, at) => value - mean[at] * factors[at]);
  return factors.every(Number.isFinite) && shifts.every(Number.isFinite) ? { factors, shifts } : undefined;
}

/** The weight with each output channel multiplied by its factor; the channels lie along `axis`. */
async function scaled(weight: TensorRef, axis: number, factors: Float64Array): Promise<Float32Array> {
  const values = (await readFloats(weight)).slice();
  const inner = elementCount(weight.shape.slice(axis + 1));
  for (let at = 0; at < values.length; at++) values[at] *= factors[Math.floor(at / inner) % factors.length];
  return values;
}

/** Axis of the output channels in the stored weight; undefined where the normalization's channels are other ones. */
function channelAxis(layer: LinearLayer, shapes: ShapeInference): number | undefined {
  if (!isDense(layer)) return 0;
  // The normalization's channels are axis 1, which are the columns of a product with two dimensions only.
  const type = typeIn(shapes.root, layer.output);
  const isMatrix = layer.isGemm || (type?.kind === "tensor" && type.shape?.length === 2);
  return isMatrix ? (layer.transposedWeight ? 0 : 1) : undefined;
}

async function fold(draft: GraphDraft, layer: LinearLayer, node: Node, axis: number, map: ChannelMap): Promise<void> {
  const { weight } = layer;
  const { factors, shifts } = map;
  const stored = isDense(layer)
    ? await denseBias(layer)
    : layer.bias === undefined
      ? undefined
      : await readFloats(layer.bias);
  const bias = Float32Array.from(
    shifts,
    (shift, channel) => (stored?.[channel % stored.length] ?? 0) * factors[channel] + shift,
  );
  const inputs = [
    layer.input,
    draft.computed(`${weight.name}_bn`, { dtype: "float32", shape: weight.shape }, () => scaled(weight, axis, factors)),
    draft.constant(`${weight.name}_bn_bias`, float32Tensor([bias.length], bias)),
  ];
  const [first] = layer.nodes;
  // `beta` is in the bias already.
  const attributes = new Map([...first.attributes].filter(([name]) => name !== "beta"));
  const opType = first.opType === "Conv" ? "Conv" : "Gemm";
  const merged = { ...operator(opType, inputs, [node.outputs[0]], {}, { name: first.name }), attributes };
  draft.replaceAll([...layer.nodes, node], [merged]);
}

/**
 * `BatchNormalization(w·x + b)` becomes one operator with `w' = w·s/√(σ² + ε)` and `b' = (b − μ)·s/√(σ² + ε) + β`, computed in double
 * precision and rounded once: equal up to the rounding of float32. Only where nothing else reads the product or its weights.
 *
 * @returns how many were folded
 */
export async function foldBatchNorms(draft: GraphDraft, shapes: ShapeInference): Promise<number> {
  let folded = 0;
  const uses = draft.useCounts();
  const layers = new Map(findLinearLayers(draft).map((layer) => [layer.output, layer]));
  // The draft's list is replaced with each fold, this one is not.
  for (const node of draft.nodes) {
    if (node.opType !== "BatchNormalization" || node.domain !== "") continue;
    const layer = layers.get(node.inputs[0]);
    if (layer === undefined || uses.get(layer.output) !== 1 || uses.get(layer.weight.name) !== 1) continue;
    const axis = channelAxis(layer, shapes);
    const map = axis === undefined ? undefined : await channelMap(draft, node);
    if (axis === undefined || map === undefined || map.factors.length !== layer.weight.shape[axis]) continue;
    await fold(draft, layer, node, axis, map);
    folded += 1;
  }
  return folded;
}
