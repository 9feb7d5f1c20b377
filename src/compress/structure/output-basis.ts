// The directions in which a layer's outputs vary most on data, and weights projected onto them; may depend on statistics and
// second-moments.
import { choleskyFactor, symmetricEigen } from "../../statistics/index.ts";
import type { Moments } from "../second-moments.ts";

/** Keeps the factor of the inputs' moments positive definite where inputs depend on each other. */
const RIDGE = 1e-9;

/** An orthonormal basis of the directions of the outputs that are kept. */
export interface Basis {
  readonly rank: number;
  /** `[rank, outputs]` row-major. */
  readonly rows: Float64Array;
}

/** The smallest count of the largest values that makes up `energy` of their sum. */
function rankFor(values: Float64Array, energy: number): number {
  const total = values.reduce((sum, value) => sum + Math.max(0, value), 0);
  let kept = 0;
  let rank = 0;
  while (rank < values.length && kept < energy * total) kept += Math.max(0, values[rank++]);
  return Math.max(1, rank);
}

function covariance({ width, mean, second }: Moments, centered: boolean): Float64Array {
  if (!centered) return second;
  return second.map((value, at) => value - mean[Math.floor(at / width)] * mean[at % width]);
}

/** Principal directions of the outputs from their own moments. */
export function basisOfOutputs(moments: Moments, centered: boolean, energy: number): Basis {
  const { values, vectors } = symmetricEigen(covariance(moments, centered), moments.width);
  const rank = rankFor(values, energy);
  return { rank, rows: vectors.subarray(0, rank * moments.width) };
}

/**
 * The same from the inputs' moments Σ = L·Lᵀ: the outputs' are Wᵀ·Σ·W, whose eigenvectors are those of the small matrix
 * Lᵀ·W·Wᵀ·L, carried over by Wᵀ·L.
 */
export function basisFromInputs(
  moments: Moments,
  weight: Float32Array,
  outputs: number,
  centered: boolean,
  energy: number,
): Basis {
  const { width } = moments;
  const sigma = covariance(moments, centered).slice();
  let trace = 0;
  for (let at = 0; at < width; at++) trace += sigma[at * width + at];
  for (let at = 0; at < width; at++) sigma[at * width + at] += Math.max((RIDGE * trace) / width, Number.MIN_VALUE);
  const factor = choleskyFactor(sigma, width);
  const half = new Float64Array(width * outputs);
  for (let row = 0; row < width; row++) {
    for (let at = row; at < width; at++) {
      const scale = factor[at * width + row];
      for (let column = 0; column < outputs; column++)
        half[row * outputs + column] += scale * weight[at * outputs + column];
    }
  }
  const gram = new Float64Array(width * width);
  for (let row = 0; row < width; row++) {
    for (let other = 0; other <= row; other++) {
      let sum = 0;
      for (let column = 0; column < outputs; column++)
        sum += half[row * outputs + column] * half[other * outputs + column];
      gram[row * width + other] = sum;
      gram[other * width + row] = sum;
    }
  }
  const { values, vectors } = symmetricEigen(gram, width);
  const rank = rankFor(values, energy);
  const rows = new Float64Array(rank * outputs);
  for (let at = 0; at < rank; at++) {
    const scale = 1 / Math.sqrt(Math.max(values[at], Number.MIN_VALUE));
    for (let row = 0; row < width; row++) {
      const weightOf = scale * vectors[at * width + row];
      for (let column = 0; column < outputs; column++)
        rows[at * outputs + column] += weightOf * half[row * outputs + column];
    }
  }
  return { rank, rows };
}

/** W·Bᵀ `[inputs, rank]` for W `[inputs, outputs]`. */
export function projected(weight: Float32Array, { rank, rows }: Basis, outputs: number): Float32Array {
  const inputs = weight.length / outputs;
  const result = new Float32Array(inputs * rank);
  for (let row = 0; row < inputs; row++) {
    for (let at = 0; at < rank; at++) {
      let sum = 0;
      for (let column = 0; column < outputs; column++)
        sum += weight[row * outputs + column] * rows[at * outputs + column];
      result[row * rank + at] = sum;
    }
  }
  return result;
}

/** The bias that gives back the mean's part outside the basis: b + m − m·Bᵀ·B, m the mean of the outputs without bias. */
export function shiftedBias(bias: Float32Array | undefined, mean: Float64Array, { rank, rows }: Basis): Float32Array {
  const width = mean.length;
  const own = mean.map((value, at) => value - (bias?.[at] ?? 0));
  const result = mean.slice();
  for (let at = 0; at < rank; at++) {
    let along = 0;
    for (let column = 0; column < width; column++) along += own[column] * rows[at * width + column];
    for (let column = 0; column < width; column++) result[column] -= along * rows[at * width + column];
  }
  return Float32Array.from(result);
}
