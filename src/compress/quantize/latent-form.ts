// Stored integers as float weights that are rounded while the model runs, which training can move, and back; may depend on model,
// rewrite and affine.
import { intAttribute } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { DType } from "../../model/dtype.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { packSubByte, unpackSubByte, type SubByteType } from "../../model/sub-byte.ts";
import { memoryTensor, readFloats, readTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor, type NumericArray, type TensorValue } from "../../model/tensor-value.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { channelLayout, clamp, roundHalfEven } from "./affine.ts";

const RANGES: Partial<Record<DType, readonly [low: number, high: number]>> = {
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

const isSubByte = (dtype: DType): dtype is SubByteType => dtype === "int4" || dtype === "uint4";

/** One tensor of integers behind a DequantizeLinear, with one scale and zero point, or one of each for a slice along an axis. */
interface StoredIntegers {
  readonly node: Node;
  readonly tensor: TensorRef;
  /** Name of the float tensor that stands for it while training. */
  readonly latent: string;
  readonly scales: Float32Array;
  readonly zeros: ArrayLike<number> | undefined;
  /** Slice of each element. */
  readonly sliceOf: (element: number) => number;
}

async function integersOf(tensor: TensorRef): Promise<ArrayLike<number>> {
  const { dtype, data } = await readTensor(tensor);
  if (!isSubByte(dtype)) return data as Exclude<NumericArray, BigInt64Array | BigUint64Array>;
  return unpackSubByte(dtype, data as Uint8Array, elementCount(tensor.shape));
}

/** Everything about a DequantizeLinear over constants; undefined for another node, for blocks, and for types without a range. */
async function storedIntegers(draft: GraphDraft, candidate: Node): Promise<StoredIntegers | undefined> {
  if (candidate.opType !== "DequantizeLinear" || candidate.domain !== "") return undefined;
  const [tensor, scale] = candidate.inputs.map((name) => draft.initializer(name));
  if (tensor === undefined || scale === undefined || scale.dtype !== "float32") return undefined;
  if (RANGES[tensor.dtype] === undefined || intAttribute(candidate, "block_size", 0) !== 0) return undefined;
  const zeroName = candidate.inputs[2] ?? "";
  const zero = draft.initializer(zeroName);
  if (zeroName !== "" && zero === undefined) return undefined;
  const scales = await readFloats(scale);
  const axis = intAttribute(candidate, "axis", 1);
  const { channels, inner } =
    scales.length === 1
      ? { channels: 1, inner: 1 }
      : channelLayout(tensor.shape, axis < 0 ? axis + tensor.shape.length : axis);
  return {
    node: candidate,
    tensor,
    latent: draft.fresh(`${tensor.name}_latent`),
    scales,
    zeros: zero === undefined ? undefined : await integersOf(zero),
    sliceOf: (element) => Math.floor(element / inner) % channels,
  };
}

/** `(q − zero)·scale` */
async function dequantized({ tensor, scales, zeros, sliceOf }: StoredIntegers): Promise<Float32Array> {
  const integers = await integersOf(tensor);
  return Float32Array.from(integers, (integer, at) => {
    const slice = sliceOf(at);
    return (integer - (zeros?.[slice] ?? 0)) * scales[slice];
  });
}

/** What QuantizeLinear does: `clip(round(x/scale) + zero)`, halves to even, the quotient a float32. */
function quantized(latent: Float32Array, stored: StoredIntegers): TensorValue {
  const { tensor, scales, zeros, sliceOf } = stored;
  const { dtype, shape } = tensor;
  const [low, high] = RANGES[dtype]!;
  const integers = Array.from(latent, (value, at) => {
    const slice = sliceOf(at);
    return clamp(roundHalfEven(Math.fround(value / scales[slice])) + (zeros?.[slice] ?? 0), low, high);
  });
  if (isSubByte(dtype)) return { dtype, shape, data: packSubByte(dtype, integers) };
  const arrays = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array };
  return { dtype, shape, data: arrays[dtype as keyof typeof arrays].from(integers) };
}

/** A model that trains in place of another, and the way back. */
export interface LatentForm {
  readonly model: ModelGraph;
  /** How many tensors of integers it moves. */
  readonly count: number;
  /** The other model with the weights of the trained one. */
  store(trained: ModelGraph): Promise<ModelGraph>;
}

/**
 * Puts QuantizeLinear over a float tensor in place of each stored weight: the model computes the same, and gradients pass the rounding
 * straight through. Biases stored as int32 become floats, since their steps are far below what training moves.
 *
 * @returns undefined when the model stores no weights behind DequantizeLinear
 */
export async function toLatentForm(model: ModelGraph): Promise<LatentForm | undefined> {
  const draft = new GraphDraft(model);
  const found: StoredIntegers[] = [];
  const nodes: Node[] = [];
  for (const candidate of draft.nodes) {
    const stored = await storedIntegers(draft, candidate);
    if (stored === undefined) {
      nodes.push(candidate);
      continue;
    }
    found.push(stored);
    const { tensor, latent } = stored;
    draft.setInitializer(memoryTensor(latent, float32Tensor(tensor.shape, await dequantized(stored))));
    if (tensor.dtype === "int32") {
      nodes.push(node("Identity", [latent], candidate.outputs));
      continue;
    }
    const rounded = draft.fresh(`${tensor.name}_rounded`);
    const [, scale, zero] = candidate.inputs;
    const zeros = { dtype: tensor.dtype, shape: draft.initializer(scale)!.shape, data: zerosOf(stored) };
    const zeroPoint = zero === undefined || zero === "" ? draft.constant(`${tensor.name}_zero`, zeros) : zero;
    nodes.push(
      { ...candidate, name: "", opType: "QuantizeLinear", inputs: [latent, scale, zeroPoint], outputs: [rounded] },
      { ...candidate, inputs: [rounded, scale, zeroPoint] },
    );
  }
  if (!found.some(({ tensor }) => tensor.dtype !== "int32")) return undefined;
  draft.nodes = nodes;
  return {
    model: draft.finish(),
    count: found.length,
    async store(trained) {
      const back = new GraphDraft(model);
      for (const [name, tensor] of trained.graph.initializers) {
        if (back.initializer(name) !== undefined) back.setInitializer(tensor);
      }
      for (const stored of found) {
        const latent = await readFloats(trained.graph.initializers.get(stored.latent)!);
        back.setInitializer(memoryTensor(stored.tensor.name, quantized(latent, stored)));
      }
      return back.finish();
    },
  };
}

/** The zero point that a node left out: zeros of the integers' type, one for each scale. */
function zerosOf({ tensor, scales }: StoredIntegers): NumericArray {
  if (isSubByte(tensor.dtype)) return packSubByte(tensor.dtype, new Uint8Array(scales.length));
  return tensor.dtype.endsWith("16") ? new Uint16Array(scales.length) : new Uint8Array(scales.length);
}
