// `Emitter`, which appends standard ONNX nodes and shared constants to a graph under construction; may depend on model.
import * as attribute from "../../model/attributes.ts";
import type { DType } from "../../model/dtype.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { Attribute, Node, TensorRef } from "../../model/graph.ts";
import { elementCount } from "../../model/tensor-value.ts";

export type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** The operator set that emitted nodes are written in, and that forward nodes are brought to. */
export const TRAINING_OPSET = 21;

/**
 * Writes nodes in topological order; every method returns the name of the value it makes.
 *
 * Values of floating point are all of one type, `floatType`: float32 in training, float64 where tests want exact
 * differences. Equal constants are stored once.
 */
export class Emitter {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, TensorRef>();
  readonly floatType: DType;
  readonly #prefix: string;
  readonly #constants = new Map<string, string>();
  #count = 0;

  constructor(prefix: string, floatType: DType = "float32") {
    this.#prefix = prefix;
    this.floatType = floatType;
  }

  fresh(hint: string): string {
    return `${this.#prefix}${hint}_${this.#count++}`;
  }

  /** One node with one output. An empty input name is an optional input left out. */
  op(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.multi(opType, inputs, 1, attributes)[0];
  }

  /** One node with several outputs. */
  multi(opType: string, inputs: readonly string[], outputCount: number, attributes: Attributes = {}): string[] {
    const outputs = Array.from({ length: outputCount }, () => this.fresh(opType));
    this.node(opType, inputs, outputs, attributes);
    return outputs;
  }

  /** One node whose outputs have given names. */
  node(opType: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}): void {
    const given = Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined);
    const name = outputs[0] ?? this.fresh(opType);
    this.nodes.push({ name, opType, domain: "", inputs, outputs, attributes: new Map(given) });
  }

  #constant(dtype: DType, shape: readonly number[], data: Float32Array | Float64Array | BigInt64Array): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype}[${shape.join(",")}]${Buffer.from(bytes).toString("base64")}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh("const");
    this.initializers.set(name, { name, dtype, shape, data: { kind: "memory", bytes } });
    this.#constants.set(key, name);
    return name;
  }

  /** A constant of the graph's floating-point type. */
  floats(values: readonly number[], shape: readonly number[] = [values.length]): string {
    const data = DTYPES[this.floatType].bits === 64 ? Float64Array.from(values) : Float32Array.from(values);
    return this.#constant(this.floatType, shape, data);
  }

  scalar(value: number): string {
    return this.floats([value], []);
  }

  /** An int64 constant. */
  ints(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#constant("int64", shape, BigInt64Array.from(values, BigInt));
  }

  zeros(shape: readonly number[]): string {
    return this.op("Expand", [this.scalar(0), this.ints(shape)]);
  }

  add = (a: string, b: string): string => this.op("Add", [a, b]);
  sub = (a: string, b: string): string => this.op("Sub", [a, b]);
  mul = (a: string, b: string): string => this.op("Mul", [a, b]);
  div = (a: string, b: string): string => this.op("Div", [a, b]);
  neg = (a: string): string => this.op("Neg", [a]);
  /** `a · factor` with a known factor; the factor 1 costs nothing. */
  scale = (a: string, factor: number): string => (factor === 1 ? a : this.mul(a, this.scalar(factor)));
  where = (condition: string, a: string, b: string): string => this.op("Where", [condition, a, b]);
  /** `a` where the condition holds, zero elsewhere. */
  keepWhere = (condition: string, a: string): string => this.where(condition, a, this.scalar(0));
  /** A boolean value as 0 or 1. */
  indicator = (condition: string): string => this.cast(condition, this.floatType);
  cast = (a: string, dtype: DType): string => this.op("Cast", [a], { to: attribute.int(DTYPES[dtype].code) });
  reshape = (a: string, shape: readonly number[]): string => this.op("Reshape", [a, this.ints(shape)]);
  expand = (a: string, shape: readonly number[]): string => this.op("Expand", [a, this.ints(shape)]);

  transpose(a: string, permutation: readonly number[]): string {
    if (permutation.every((from, to) => from === to)) return a;
    return this.op("Transpose", [a], { perm: attribute.ints(permutation) });
  }

  reduceSum(a: string, axes: readonly number[], keepDims: boolean): string {
    return this.#reduce("ReduceSum", a, axes, keepDims);
  }

  reduceMean(a: string, axes: readonly number[], keepDims: boolean): string {
    return this.#reduce("ReduceMean", a, axes, keepDims);
  }

  #reduce(opType: string, a: string, axes: readonly number[], keepDims: boolean): string {
    if (axes.length === 0) return a; // an empty axes list means "all" to ONNX
    return this.op(opType, [a, this.ints(axes)], { keepdims: attribute.int(keepDims ? 1 : 0) });
  }

  gemm(a: string, b: string, options: { transA?: boolean; transB?: boolean; alpha?: number } = {}): string {
    return this.op("Gemm", [a, b], {
      transA: options.transA ? attribute.int(1) : undefined,
      transB: options.transB ? attribute.int(1) : undefined,
      alpha: options.alpha === undefined || options.alpha === 1 ? undefined : attribute.float(options.alpha),
    });
  }

  /** `starts[i] … ends[i]` along `axes[i]`. */
  slice(a: string, axes: readonly number[], starts: readonly number[], ends: readonly number[]): string {
    return this.op("Slice", [a, this.ints(starts), this.ints(ends), this.ints(axes)]);
  }

  /** Zeros around `a`; negative widths cut off. `before` and `after` have one entry per axis. */
  pad(a: string, before: readonly number[], after: readonly number[]): string {
    if ([...before, ...after].every((width) => width === 0)) return a;
    return this.op("Pad", [a, this.ints([...before, ...after])]);
  }

  /**
   * The adjoint of broadcasting: sums a gradient of shape `from` over the axes along which `to` was repeated.
   *
   * Both shapes are static, so only the axes that truly repeat cost anything.
   */
  unbroadcast(gradient: string, from: readonly number[], to: readonly number[]): string {
    const lead = from.length - to.length;
    const axes = from.flatMap((size, axis) => (axis < lead || (to[axis - lead] === 1 && size !== 1) ? [axis] : []));
    const summed = this.reduceSum(gradient, axes, lead === 0);
    if (lead === 0 || axes.length === lead) return summed;
    return this.reshape(summed, to);
  }

  /**
   * Adds slices along `axis` into zeros: `result[…, indices[i], …] += updates[…, i, …]`, repeated indices accumulate.
   *
   * ScatterElements adds repeated indices one after another, so the sum has one order and the result one set of bytes.
   * @param indices int64 `[n]`, `n` the size of `updates` along `axis`
   */
  scatterAdd(updates: string, updatesShape: readonly number[], indices: string, axis: number, size: number): string {
    const aligned = updatesShape.map((extent, at) => (at === axis ? extent : 1));
    const everywhere = this.expand(this.reshape(indices, aligned), updatesShape);
    const target = this.zeros(updatesShape.map((extent, at) => (at === axis ? size : extent)));
    const attributes = { axis: attribute.int(axis), reduction: attribute.string("add") };
    return this.op("ScatterElements", [target, everywhere, updates], attributes);
  }
}

/** The shape of `a ∘ b` for two shapes that broadcast together. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], axis: number): number => shape[axis - (rank - shape.length)] ?? 1;
  return Array.from({ length: rank }, (_, axis) => (at(a, axis) === 1 ? at(b, axis) : at(a, axis)));
}

export const range = (length: number): number[] => Array.from({ length }, (_, index) => index);

/** A negative axis counted from the end. */
export const normalizeAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

export { elementCount };
