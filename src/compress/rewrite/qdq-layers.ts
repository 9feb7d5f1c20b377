// Writes layers and tensors in QDQ form: stored integers behind DequantizeLinear, pairs of QuantizeLinear and DequantizeLinear on what
// flows; may depend on model, quantize, draft, linear and qdq-plan.
import type { SpillFile } from "../../io/spill-file.ts";
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import {
  biasScaleFloor,
  quantizeBias,
  quantizeChannels,
  type AffineParams,
  type QuantizedChannels,
  type WeightGrid,
} from "../quantize/affine.ts";
import { convShift, denseShift, roundingErrors, shifted } from "../quantize/bias-correction.ts";
import type { GraphDraft } from "./draft.ts";
import { denseBias, denseWeight, uprightInput, type ConvLayer, type DenseLayer } from "./linear.ts";
import type { QdqPlan } from "./qdq-plan.ts";

interface StoredWeight {
  readonly node: Node;
  readonly output: string;
  readonly stored: QuantizedChannels;
}

/** Adds DequantizeLinear over stored integers; the zero point is written out because Gemm does not fuse without it. */
export class StoredIntegers {
  readonly #draft: GraphDraft;
  readonly #grid: WeightGrid;
  readonly #spill: SpillFile | undefined;

  /** @param spill takes the integers of weights until the model is written, where memory should not */
  constructor(draft: GraphDraft, grid: WeightGrid, spill?: SpillFile) {
    this.#draft = draft;
    this.#grid = grid;
    this.#spill = spill;
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
      this.#integers(`${stem}_q`, { dtype: this.#grid.dtype, shape, data }),
      this.#draft.constant(`${stem}_s`, float32Tensor([scales.length], scales)),
      this.#draft.constant(`${stem}_z`, { dtype: this.#grid.dtype, shape: [scales.length], data: zeros }),
    ];
    const output = this.#draft.fresh(`${stem}_d`);
    const node = operator("DequantizeLinear", inputs, [output], { axis: int(axis) });
    return { node, output, stored };
  }

  #integers(stem: string, value: TensorValue): string {
    if (this.#spill === undefined) return this.#draft.constant(stem, value);
    const { buffer, byteOffset, byteLength } = value.data;
    return spilledTensor(this.#draft, stem, value, this.#spill.put(new Uint8Array(buffer, byteOffset, byteLength)));
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

/** A scope of its own, so that the function it leaves behind does not keep the elements. */
const spilledTensor = (
  draft: GraphDraft,
  stem: string,
  { dtype, shape }: TensorValue,
  read: () => Uint8Array,
): string => draft.computed(stem, { dtype, shape }, async () => read());

/** What a layer's calibrated input is like. */
export interface LayerInput {
  readonly scale: number;
  readonly rank: number;
  /** Present when the bias is to be corrected. */
  readonly mean: Float64Array | undefined;
}

/** A dense layer as integers: Gemm where the product has two dimensions, MatMul with a float bias otherwise. */
export async function quantizeDense(
  draft: GraphDraft,
  layer: DenseLayer,
  seen: LayerInput,
  stored: StoredIntegers,
): Promise<void> {
  const { k, n } = layer;
  const bias = await denseBias(layer);
  const asGemm = layer.isGemm || seen.rank === 2;
  const floor = bias === undefined || !asGemm ? undefined : biasScaleFloor(bias, seen.scale);
  const values = await denseWeight(layer);
  const weight = stored.weight(layer.weight.name, values, [k, n], 1, floor);
  const shift = seen.mean?.length === k ? denseShift(values, weight.stored, seen.mean) : new Float64Array(n);
  const corrected = shifted(bias, shift);
  const { input, nodes: before } = uprightInput(draft, layer);
  const nodes: Node[] = [weight.node, ...before];
  if (asGemm) {
    // Without a bias ONNX Runtime leaves a Gemm float; zeros cost four bytes a column and make it an integer one.
    const stem = layer.bias?.name ?? `${layer.weight.name}_b`;
    const integers = stored.bias(stem, bias ?? new Float32Array(n), corrected, seen.scale, weight.stored.scales);
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

export async function quantizeConv(
  draft: GraphDraft,
  layer: ConvLayer,
  seen: LayerInput,
  stored: StoredIntegers,
): Promise<void> {
  const { shape } = layer.weight;
  const bias = layer.bias === undefined ? undefined : await readFloats(layer.bias);
  const floor = bias === undefined ? undefined : biasScaleFloor(bias, seen.scale);
  const values = await readFloats(layer.weight);
  const weight = stored.weight(layer.weight.name, values, shape, 0, floor);
  const node = layer.nodes[0];
  const nodes = [weight.node];
  const inputs = [node.inputs[0], weight.output];
  if (bias !== undefined || seen.mean !== undefined) {
    const plain = bias ?? new Float32Array(shape[0]);
    const errors = seen.mean && roundingErrors(values, weight.stored, shape, 0);
    const corrected = errors === undefined ? plain : shifted(plain, convShift(errors, shape, seen.mean!));
    const stem = layer.bias?.name ?? `${layer.weight.name}_b`;
    const integers = stored.bias(stem, plain, corrected, seen.scale, weight.stored.scales);
    nodes.push(integers.node);
    inputs.push(integers.output);
  }
  draft.replaceAll(layer.nodes, [...nodes, { ...node, inputs }]);
}

/** Puts QuantizeLinear and DequantizeLinear on every planned tensor; a computed tensor keeps its name after them. */
export function insertPairs(draft: GraphDraft, plan: QdqPlan, params: ReadonlyMap<string, AffineParams>): void {
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
