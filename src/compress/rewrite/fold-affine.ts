// Folds what scales and shifts a layer's channels (BatchNormalization, Mul, Add, …) into its weights and bias; may depend on model, draft
// and linear.
import { floatAttribute, intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { typeIn, type ShapeInference } from "../../model/shapes/inference.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import type { GraphDraft } from "./draft.ts";
import { denseBias, findLinearLayers, isDense, type LinearLayer } from "./linear.ts";

/** `y = factor · x + shift`, one of each for every channel, in double precision. */
interface ChannelMap {
  readonly factors: Float64Array;
  readonly shifts: Float64Array;
}

/** Where the output channels of a layer lie: in its weights, and how many dimensions its output has, with the channels along axis 1. */
interface Channels {
  readonly axis: number;
  readonly count: number;
  readonly rank: number;
}

/** Undefined where axis 1 of the output is not surely the layer's channels. */
function channelsOf(layer: LinearLayer, shapes: ShapeInference | undefined): Channels | undefined {
  const { weight } = layer;
  if (!isDense(layer)) return { axis: 0, count: weight.shape[0], rank: weight.shape.length };
  const type = shapes && typeIn(shapes.root, layer.output);
  const isMatrix = layer.isGemm || (type?.kind === "tensor" && type.shape?.length === 2);
  return isMatrix ? { axis: layer.transposedWeight ? 0 : 1, count: layer.n, rank: 2 } : undefined;
}

/** The normalization as a linear map; undefined where its statistics are not constant, or are those of the batch. */
async function normalization(draft: GraphDraft, node: Node): Promise<ChannelMap | undefined> {
  // Before 7 a flag told training from inference; before 9 another could keep statistics for each position.
  if (draft.opset < 7 || intAttribute(node, "spatial", 1) !== 1 || intAttribute(node, "training_mode", 0) !== 0)
    return undefined;
  if (node.outputs.slice(1).some((name) => name !== "")) return undefined;
  const parameters = node.inputs.slice(1).map((name) => draft.initializer(name));
  if (parameters.length !== 4 || parameters.some((tensor) => tensor?.dtype !== "float32")) return undefined;
  const [scale, shift, mean, variance] = await Promise.all((parameters as TensorRef[]).map(readFloats));
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const factors = Float64Array.from(scale, (value, at) => value / Math.sqrt(variance[at] + epsilon));
  return { factors, shifts: Float64Array.from(shift, (value, at) => value - mean[at] * factors[at]) };
}

/** One number for each channel of `[N, C, …]` out of a constant that broadcasts so; undefined for any other constant. */
async function perChannel(tensor: TensorRef | undefined, { count, rank }: Channels) {
  if (tensor?.dtype !== "float32" || tensor.shape.length > rank) return undefined;
  const values = await readFloats(tensor);
  if (elementCount(tensor.shape) === 1) return new Float64Array(count).fill(values[0]);
  const missing = Array.from({ length: rank - tensor.shape.length }, () => 1);
  const fits = [...missing, ...tensor.shape].every((size, axis) => size === (axis === 1 ? count : 1));
  return fits ? Float64Array.from(values) : undefined;
}

/** What `node` does to the channels of `name`; undefined when it does anything else. */
async function affineOf(draft: GraphDraft, node: Node, name: string, channels: Channels) {
  if (node.opType === "BatchNormalization") return normalization(draft, node);
  if (!["Add", "Div", "Mul", "Sub"].includes(node.opType)) return undefined;
  const isFirst = node.inputs[0] === name;
  const constant = await perChannel(draft.initializer(node.inputs[isFirst ? 1 : 0]), channels);
  if (constant === undefined) return undefined;
  const [ones, zeros] = [new Float64Array(channels.count).fill(1), new Float64Array(channels.count)];
  switch (node.opType) {
    case "Add":
      return { factors: ones, shifts: constant };
    case "Mul":
      return { factors: constant, shifts: zeros };
    case "Sub":
      return isFirst
        ? { factors: ones, shifts: constant.map((value) => -value) }
        : { factors: ones.map((one) => -one), shifts: constant };
    default:
      return isFirst ? { factors: constant.map((value) => 1 / value), shifts: zeros } : undefined;
  }
}

const compose = (first: ChannelMap, then: ChannelMap): ChannelMap => ({
  factors: first.factors.map((value, at) => value * then.factors[at]),
  shifts: first.shifts.map((value, at) => value * then.factors[at] + then.shifts[at]),
});

interface Chain {
  readonly nodes: readonly Node[];
  readonly affine: ChannelMap;
}

/** The nodes after a layer, each the only reader of the one before, that together are one affine map of its channels. */
async function chainAfter(
  draft: GraphDraft,
  { output }: LinearLayer,
  channels: Channels,
  uses: ReadonlyMap<string, number>,
  operators: ReadonlySet<string>,
): Promise<Chain | undefined> {
  const nodes: Node[] = [];
  let affine: ChannelMap | undefined;
  for (let name = output; uses.get(name) === 1;) {
    const next = draft.consumersOf(name)[0];
    if (next === undefined || next.domain !== "" || !operators.has(next.opType)) break;
    const step = await affineOf(draft, next, name, channels);
    if (step?.factors.length !== channels.count || ![...step.factors, ...step.shifts].every(Number.isFinite)) break;
    affine = affine === undefined ? step : compose(affine, step);
    nodes.push(next);
    name = next.outputs[0];
  }
  return affine === undefined ? undefined : { nodes, affine };
}

/** The weight with each output channel multiplied by its factor; the channels lie along `axis`. */
async function scaled(weight: TensorRef, axis: number, factors: Float64Array): Promise<Float32Array> {
  const values = (await readFloats(weight)).slice();
  const inner = elementCount(weight.shape.slice(axis + 1));
  for (let at = 0; at < values.length; at++) values[at] *= factors[Math.floor(at / inner) % factors.length];
  return values;
}

async function storedBias(layer: LinearLayer): Promise<Float32Array | undefined> {
  if (isDense(layer)) return denseBias(layer);
  return layer.bias && readFloats(layer.bias);
}

/** Replaces the layer and the chain behind it by one operator. */
async function fold(draft: GraphDraft, layer: LinearLayer, { axis }: Channels, { nodes, affine }: Chain) {
  const { weight } = layer;
  const { factors, shifts } = affine;
  const stored = await storedBias(layer);
  const bias = Float32Array.from(
    shifts,
    (shift, channel) => (stored?.[channel % stored.length] ?? 0) * factors[channel] + shift,
  );
  const inputs = [
    layer.input,
    draft.computed(`${weight.name}_f`, { dtype: "float32", shape: weight.shape }, () => scaled(weight, axis, factors)),
    draft.constant(`${layer.output}_b`, float32Tensor([bias.length], bias)),
  ];
  const [first] = layer.nodes;
  // `beta` is in the bias already.
  const attributes = new Map([...first.attributes].filter(([name]) => name !== "beta"));
  const outputs = nodes.at(-1)!.outputs.slice(0, 1);
  const merged = operator(isDense(layer) ? "Gemm" : "Conv", inputs, outputs, {}, { name: first.name });
  draft.replaceAll([...layer.nodes, ...nodes], [{ ...merged, attributes }]);
}

const AFFINE_OPERATORS = ["Add", "BatchNormalization", "Div", "Mul", "Sub"] as const;

export interface FoldOptions {
  /** What tells that a MatMul has two dimensions; without it only Gemm and Conv take part. */
  readonly shapes?: ShapeInference;
  /** What is folded; left out, all that is affine. */
  readonly operators?: readonly (typeof AFFINE_OPERATORS)[number][];
  /** Layers whose weights others read too, which are then stored apart: left alone unless true. */
  readonly splitShared?: boolean;
}

export interface Folded {
  /** How many operators were folded. */
  readonly count: number;
  /** The new outputs of changed layers by their old ones; the new names stood in the model before. */
  readonly renamed: ReadonlyMap<string, string>;
}

/**
 * `gain·(W·x + b) + shift = (gain·W)·x + (gain·b + shift)` for every Conv and matrix product with constant weights, computed in double
 * precision and rounded once: the same answers within float32 rounding, fewer operators, and one range instead of several when
 * activations become integers. Of a batch normalization, gain = s/√(σ² + ε) and shift = β − μ·gain.
 */
export async function foldAffine(draft: GraphDraft, options: FoldOptions = {}): Promise<Folded> {
  const operators = new Set<string>(options.operators ?? AFFINE_OPERATORS);
  const uses = draft.useCounts();
  const renamed = new Map<string, string>();
  let count = 0;
  for (const layer of findLinearLayers(draft)) {
    const channels = channelsOf(layer, options.shapes);
    const isShared = uses.get(layer.weight.name) !== 1;
    if (channels === undefined || (isShared && options.splitShared !== true)) continue;
    if (layer.bias !== undefined && layer.bias.dtype !== "float32") continue;
    const chain = await chainAfter(draft, layer, channels, uses, operators);
    if (chain === undefined) continue;
    await fold(draft, layer, channels, chain);
    renamed.set(layer.output, chain.nodes.at(-1)!.outputs[0]);
    count += chain.nodes.length;
  }
  return { count, renamed };
}
