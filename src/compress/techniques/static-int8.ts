// Static int8, in QDQ or QOperator form: weights and activations in 8 bits with ranges found on calibration data; may depend on rewrite, quantize and calibrate.
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { sliceDataset } from "../../runtime/dataset.ts";
import { watchTensors } from "../calibrate.ts";
import {
  activationParams,
  biasScaleFloor,
  quantizeBias,
  quantizeChannels,
  type AffineParams,
  type WeightGrid,
} from "../quantize/affine.ts";
import { ChannelMean, convShift, denseShift, roundingErrors, shifted } from "../quantize/bias-correction.ts";
import { RangeObserver, type RangeMethod } from "../quantize/range-observer.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { foldAffine } from "../rewrite/fold-affine.ts";
import {
  chosenLayers,
  denseBias,
  denseWeight,
  findLinearLayers,
  layerName,
  uprightInput,
  type ConvLayer,
  type DenseLayer,
  type LayerChoice,
  type LinearLayer,
} from "../rewrite/linear.ts";
import { toQOperators } from "../rewrite/qoperator.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { planQdq, type QdqPlan } from "../rewrite/qdq-plan.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

/** First operator set whose DequantizeLinear takes a scale per channel. */
const NEEDED_OPSET = 13;

export interface StaticInt8Options extends LayerChoice {
  readonly range: RangeMethod;
  /** Calibration samples used. */
  readonly samples: number;
  /**
   * `qdq`: float operators between QuantizeLinear and DequantizeLinear, which any ONNX engine reads and most fuse.
   * `qoperator`: integer operators, which run as such for certain, in ONNX Runtime only.
   */
  readonly form: "qdq" | "qoperator";
  /** Whether biases make up for the mean of what rounding the weights takes away. */
  readonly biasCorrection: boolean;
}

interface Observed {
  readonly observer: RangeObserver;
  readonly rank: number;
  /** Of each channel, where a layer reads the tensor. */
  readonly mean: ChannelMean | undefined;
}

/** The axis of a layer's input that its weights are summed over. */
function channelAxis(layer: LinearLayer, rank: number): number {
  if (layer.kind === "conv") return 1;
  return layer.transposedInput ? 0 : rank - 1;
}

async function observeRanges(
  model: ModelGraph,
  names: readonly string[],
  layers: readonly LinearLayer[],
  options: StaticInt8Options,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal">,
): Promise<Map<string, Observed>> {
  const data = context.calibration!;
  const samples = sliceDataset(data, 0, Math.min(options.samples, data.sampleCount));
  const seen = new Map<string, Observed>();
  const readers = new Map(layers.map((layer) => [layer.input, layer]));
  await watchTensors(model, names, samples, context, (name, value, rows) => {
    if (!(value.data instanceof Float32Array)) return;
    const rank = value.shape.length;
    const reader = readers.get(name);
    const axis = reader === undefined ? undefined : channelAxis(reader, rank);
    let entry = seen.get(name);
    if (entry === undefined) {
      const mean = axis === undefined ? undefined : new ChannelMean(value.shape[axis] ?? 1);
      seen.set(name, (entry = { observer: new RangeObserver(), rank, mean }));
    }
    entry.observer.observe(value.data, value.shape[0] === rows ? rows : 1);
    if (axis !== undefined) entry.mean?.observe(value.data, value.shape, axis);
  });
  return seen;
}

interface StoredWeight {
  readonly node: Node;
  readonly output: string;
  readonly scales: Float32Array;
  readonly errors: () => Float32Array;
}

/** Adds DequantizeLinear over stored integers; the zero point is written out because Gemm does not fuse without it. */
class StoredIntegers {
  readonly #draft: GraphDraft;
  readonly #grid: WeightGrid;

  constructor(draft: GraphDraft, grid: WeightGrid) {
    this.#draft = draft;
    this.#grid = grid;
  }

  weight(
    stem: string,
    values: Float32Array,
    shape: readonly number[],
    axis: number,
    floor: Float64Array | undefined,
  ): StoredWeight {
    const stored = quantizeChannels(values, shape, axis, this.#grid, floor);
    const { data, scales, zeroPoint } = stored;
    const zeros =
      data instanceof Uint8Array ? new Uint8Array(scales.length).fill(zeroPoint) : new Int8Array(scales.length);
    const inputs = [
      this.#draft.constant(`${stem}_q`, { dtype: this.#grid.dtype, shape, data }),
      this.#draft.constant(`${stem}_s`, float32Tensor([scales.length], scales)),
      this.#draft.constant(`${stem}_z`, { dtype: this.#grid.dtype, shape: [scales.length], data: zeros }),
    ];
    const output = this.#draft.fresh(`${stem}_d`);
    const node = operator("DequantizeLinear", inputs, [output], { axis: int(axis) });
    return { node, output, scales, errors: () => roundingErrors(values, stored, shape, axis) };
  }

  /** @param corrected preferred to `bias`, unless it does not fit into int32 at the scale that `bias` fits at */
  bias(
    stem: string,
    bias: Float32Array,
    corrected: Float32Array,
    inputScale: number,
    scales: Float32Array,
  ): { node: Node; output: string } {
    const integers = quantizeBias(corrected, inputScale, scales) ?? quantizeBias(bias, inputScale, scales)!;
    const biasScales = scales.map((scale) => scale * inputScale);
    const inputs = [
      this.#draft.constant(`${stem}_q`, { dtype: "int32", shape: [integers.length], data: integers }),
      this.#draft.constant(`${stem}_s`, float32Tensor([integers.length], biasScales)),
    ];
    const output = this.#draft.fresh(`${stem}_d`);
    return { node: operator("DequantizeLinear", inputs, [output], { axis: int(0) }), output };
  }
}

/** What a layer's calibrated input is like. */
interface LayerInput {
  readonly scale: number;
  readonly rank: number;
  /** Present when the bias is to be corrected. */
  readonly mean: Float64Array | undefined;
}

/** A dense layer as integers: Gemm where the product has two dimensions, MatMul with a float bias otherwise. */
async function quantizeDense(
  draft: GraphDraft,
  layer: DenseLayer,
  seen: LayerInput,
  stored: StoredIntegers,
): Promise<void> {
  const { k, n } = layer;
  const bias = await denseBias(layer);
  const asGemm = layer.isGemm || seen.rank === 2;
  const floor = bias === undefined || !asGemm ? undefined : biasScaleFloor(bias, seen.scale);
  const weight = stored.weight(layer.weight.name, await denseWeight(layer), [k, n], 1, floor);
  const shift = seen.mean?.length === k ? denseShift(weight.errors(), seen.mean, n) : new Float64Array(n);
  const corrected = shifted(bias, shift);
  const { input, nodes: before } = uprightInput(draft, layer);
  const nodes: Node[] = [weight.node, ...before];
  if (asGemm) {
    // Without a bias ONNX Runtime leaves a Gemm float; zeros cost four bytes a column and make it an integer one.
    const stem = layer.bias?.name ?? `${layer.weight.name}_b`;
    const integers = stored.bias(stem, bias ?? new Float32Array(n), corrected, seen.scale, weight.scales);
    nodes.push(integers.node, operator("Gemm", [input, weight.output, integers.output], [layer.output]));
  } else if (bias === undefined) {
    // An Add only for the correction would cost a pass over the result.
    nodes.push(operator("MatMul", [input, weight.output], [layer.output]));
  } else {
    const product = draft.fresh(`${layer.output}_p`);
    const name = draft.constant(layer.bias!.name, float32Tensor([n], corrected));
    nodes.push(operator("MatMul", [input, weight.output], [product]), operator("Add", [product, name], [layer.output]));
  }
  draft.replaceAll(layer.nodes, nodes);
}

async function quantizeConv(
  draft: GraphDraft,
  layer: ConvLayer,
  seen: LayerInput,
  stored: StoredIntegers,
): Promise<void> {
  const { shape } = layer.weight;
  const bias = layer.bias === undefined ? undefined : await readFloats(layer.bias);
  const floor = bias === undefined ? undefined : biasScaleFloor(bias, seen.scale);
  const weight = stored.weight(layer.weight.name, await readFloats(layer.weight), shape, 0, floor);
  const node = layer.nodes[0];
  const nodes = [weight.node];
  const inputs = [node.inputs[0], weight.output];
  if (bias !== undefined || seen.mean !== undefined) {
    const plain = bias ?? new Float32Array(shape[0]);
    const corrected = seen.mean === undefined ? plain : shifted(plain, convShift(weight.errors(), shape, seen.mean));
    const stem = layer.bias?.name ?? `${layer.weight.name}_b`;
    const integers = stored.bias(stem, plain, corrected, seen.scale, weight.scales);
    nodes.push(integers.node);
    inputs.push(integers.output);
  }
  draft.replaceAll(layer.nodes, [...nodes, { ...node, inputs }]);
}

/** Puts QuantizeLinear and DequantizeLinear on every planned tensor; a computed tensor keeps its name after them. */
function insertPairs(draft: GraphDraft, plan: QdqPlan, params: ReadonlyMap<string, AffineParams>): void {
  const constants = new Map<string, readonly [scale: string, zeroPoint: string]>();
  const constantsOf = (range: string): readonly [string, string] => {
    const { scale, zeroPoint } = params.get(range)!;
    const names = constants.get(range) ?? [
      draft.constant(`${range}_s`, float32Tensor([], new Float32Array([scale]))),
      draft.constant(`${range}_z`, { dtype: "uint8", shape: [], data: new Uint8Array([zeroPoint]) }),
    ];
    constants.set(range, names);
    return names;
  };
  const pair = (from: string, to: string, range: string): Node[] => {
    const quantized = draft.fresh(`${to}_q`);
    const names = constantsOf(range);
    return [
      operator("QuantizeLinear", [from, ...names], [quantized]),
      operator("DequantizeLinear", [quantized, ...names], [to]),
    ];
  };
  const inputs = new Set(draft.inputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const head: Node[] = [];
  for (const [name, range] of plan) {
    if (!inputs.has(name)) continue;
    const rounded = draft.fresh(`${name}_d`);
    renamed.set(name, rounded);
    head.push(...pair(name, rounded, range));
  }
  const body = draft.nodes.flatMap((node): Node[] => {
    const raw = new Map(
      node.outputs.filter((name) => plan.has(name)).map((name) => [name, draft.fresh(`${name}_r`)] as const),
    );
    const reads = { ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) };
    if (raw.size === 0) return [reads];
    const pairs = [...raw].flatMap(([name, from]) => pair(from, name, plan.get(name)!));
    return [{ ...reads, outputs: node.outputs.map((name) => raw.get(name) ?? name) }, ...pairs];
  });
  draft.nodes = [...head, ...body];
}

/**
 * Quantises Conv, Gemm and MatMul with constant weights, and the pools, sums and reshapes between them.
 *
 * Weights: symmetric, one scale per output channel. Activations: u8 with one range per tensor; after a Relu the zero point is 0.
 * Biases: int32 at scale `s_x·s_w`, corrected by the mean of what the weights lost (Nagel et al., arXiv:1906.04721); where that would overflow, the channel's weight scale grows until it fits.
 */
export async function staticInt8(
  model: ModelGraph,
  options: StaticInt8Options,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal" | "weightGrid">,
): Promise<TechniqueResult> {
  if (context.calibration === undefined) return refused("static ranges need calibration data, none was given");
  const raised = await raiseOpset(model, NEEDED_OPSET);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const chosen = chosenLayers(findLinearLayers(draft), options).map(({ output }) => output);
  // A layer keeps one range instead of two; ONNX Runtime would fold it too, but not across a rounding.
  const renamed = await foldAffine(draft);
  const found = chosenLayers(findLinearLayers(draft), { layers: chosen.map((name) => renamed.get(name) ?? name) });
  if (found.length === 0) return refused("no MatMul, Gemm or Conv with constant float32 weights to quantise");
  // Ranges of the planned tensors, and the layers' own inputs for their ranks: a reshape between changes that.
  const names = [...new Set([...planQdq(draft, found).values(), ...found.map(({ input }) => input)])];
  const observed = await observeRanges(raised.model, names, found, options, context);
  const params = new Map<string, AffineParams>();
  for (const [name, { observer }] of observed) {
    const range = observer.range(options.range);
    if (range !== undefined && observer.notFiniteCount === 0) params.set(name, activationParams(range.low, range.high));
  }
  // A layer whose tensors never showed up (wrong type, NaN) stays float; planning again drops what only it needed.
  const usable = (layer: LinearLayer) => [...planQdq(draft, [layer]).values()].every((name) => params.has(name));
  const layers = found.filter(usable);
  const notes = found
    .filter((layer) => !layers.includes(layer))
    .map((layer) => `${layerName(layer)} stays float: its range is unknown or not finite on the calibration data`);
  if (layers.length === 0) return refused(notes.join("; "));
  const plan = planQdq(draft, layers);
  const stored = new StoredIntegers(draft, context.weightGrid);
  for (const layer of layers) {
    const range = plan.get(layer.input)!;
    const { rank, mean } = observed.get(layer.input)!;
    const seen = { scale: params.get(range)!.scale, rank, mean: options.biasCorrection ? mean?.value : undefined };
    if (layer.kind === "conv") await quantizeConv(draft, layer, seen, stored);
    else await quantizeDense(draft, layer, seen, stored);
  }
  insertPairs(draft, plan, params);
  const result = draft.finish();
  return made(options.form === "qoperator" ? await toQOperators(result) : result, notes);
}
