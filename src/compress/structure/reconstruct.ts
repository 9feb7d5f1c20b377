// Least squares for what was cut: each position that goes is replaced by its best linear combination of those that stay, merged
// into the weights that read them; may depend on model, statistics, rewrite and coupling.
import type { TensorRef } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { choleskyFactor, choleskySolve } from "../../statistics/index.ts";
import type { LinearLayer } from "../rewrite/linear.ts";
import type { Moments } from "../second-moments.ts";
import type { Contraction } from "./coupling-call.ts";

/** Added to the diagonal, as a share of its mean: keeps a solution where kept units say the same. */
const RIDGE = 1e-6;

export interface Combination {
  /** `[gone, kept]` row-major: x_gone ≈ coefficients · x_kept + offsets. */
  readonly coefficients: Float64Array;
  readonly offsets: Float64Array;
}

/**
 * The combination that minimises E‖x_gone − (C·x_kept + o)‖²: C = Σ_gk·Σ_kk⁻¹ with covariances Σ and o = μ_g − C·μ_k, or with raw
 * second moments and o = 0 when no offset is allowed.
 */
export function bestCombination(
  moments: Moments,
  kept: readonly number[],
  gone: readonly number[],
  withOffset: boolean,
): Combination {
  const { width, mean, second } = moments;
  const entry = (row: number, column: number) =>
    second[row * width + column] - (withOffset ? mean[row] * mean[column] : 0);
  const size = kept.length;
  const gram = new Float64Array(size * size);
  kept.forEach((row, i) => {
    for (let j = 0; j <= i; j++) gram[i * size + j] = entry(row, kept[j]);
  });
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram[i * size + i];
  // Nothing kept ever moves: nothing can be said with it.
  const ridge = trace > 0 ? (RIDGE * trace) / size : 1;
  for (let i = 0; i < size; i++) gram[i * size + i] += ridge;
  const sides = new Float64Array(size * gone.length);
  kept.forEach((row, i) => {
    for (let j = 0; j < gone.length; j++) sides[i * gone.length + j] = entry(row, gone[j]);
  });
  const solved = choleskySolve(choleskyFactor(gram, size), size, sides, gone.length);
  const coefficients = new Float64Array(gone.length * size);
  const offsets = new Float64Array(gone.length);
  gone.forEach((position, j) => {
    if (withOffset) offsets[j] = mean[position];
    for (let i = 0; i < size; i++) {
      const coefficient = solved[i * gone.length + j];
      coefficients[j * size + i] = coefficient;
      if (withOffset) offsets[j] -= coefficient * mean[kept[i]];
    }
  });
  return { coefficients, offsets };
}

/** Where an offset of the inputs can go: a bias of one number per output that this layer alone reads. */
export interface BiasPlace {
  readonly tensor: TensorRef;
  /** What a unit of the bias is worth in units of the weights (Gemm's alpha / beta). */
  readonly scale: number;
}

/** The place for an offset; undefined where there is no bias, or others read it too. */
export function biasPlace(layer: LinearLayer | undefined, uses: ReadonlyMap<string, number>): BiasPlace | undefined {
  const { bias } = layer ?? {};
  if (layer === undefined || bias === undefined || uses.get(bias.name) !== 1) return undefined;
  if (layer.kind === "conv") return { tensor: bias, scale: 1 };
  return layer.beta === 0 || elementCount(bias.shape) !== layer.n
    ? undefined
    : { tensor: bias, scale: layer.alpha / layer.beta };
}

/**
 * The bias of a product after positions of its input went that held these constants: each adds its weights times the constant.
 *
 * @param axis of the weight that the product sums over; the places of a kernel are summed over too
 * @param constants by position
 */
export async function shiftedBias(
  weight: TensorRef,
  axis: number,
  constants: ReadonlyMap<number, number>,
  { tensor, scale }: BiasPlace,
): Promise<TensorRef> {
  const values = await readFloats(weight);
  const shifted = Float64Array.from(await readFloats(tensor));
  const inner = elementCount(weight.shape.slice(axis + 1));
  const outer = elementCount(weight.shape.slice(0, axis));
  // Of a matrix read along its rows the outputs follow inside, of all others they come before.
  const outputOf = (block: number, at: number) => (axis === 0 ? at : block);
  for (let block = 0; block < outer; block++) {
    for (const [position, constant] of constants) {
      const from = (block * weight.shape[axis] + position) * inner;
      for (let at = 0; at < inner; at++) shifted[outputOf(block, at)] += scale * constant * values[from + at];
    }
  }
  return memoryTensor(tensor.name, float32Tensor(tensor.shape, Float32Array.from(shifted)));
}

/**
 * The weights (and bias) of a product that shall read only the positions in `kept`, still in their full size: rows of positions that
 * go are merged into the others.
 *
 * @param bias where offsets go; without one none are made
 */
export async function mergedWeights(
  contraction: Pick<Contraction, "weightAxis" | "padded">,
  weight: TensorRef,
  bias: BiasPlace | undefined,
  moments: Moments,
  kept: readonly number[],
): Promise<TensorRef[]> {
  const stays = new Set(kept);
  const gone = Array.from({ length: moments.width }, (_, at) => at).filter((at) => !stays.has(at));
  const withOffset = bias !== undefined && !contraction.padded;
  const { coefficients, offsets } = bestCombination(moments, kept, gone, withOffset);
  const values = (await readFloats(weight)).slice();
  const axis = contraction.weightAxis;
  const inner = elementCount(weight.shape.slice(axis + 1));
  const outer = elementCount(weight.shape.slice(0, axis));
  const row = (block: number, position: number) => (block * moments.width + position) * inner;
  const merged = values.slice();
  for (let block = 0; block < outer; block++) {
    gone.forEach((position, j) => {
      const from = row(block, position);
      kept.forEach((target, i) => {
        const coefficient = coefficients[j * kept.length + i];
        if (coefficient === 0) return;
        const to = row(block, target);
        for (let at = 0; at < inner; at++) merged[to + at] += coefficient * values[from + at];
      });
    });
  }
  const result = [memoryTensor(weight.name, float32Tensor(weight.shape, merged))];
  if (!withOffset) return result;
  const shifts = new Map(gone.map((position, at) => [position, offsets[at]]));
  result.push(await shiftedBias(weight, axis, shifts, bias));
  return result;
}
