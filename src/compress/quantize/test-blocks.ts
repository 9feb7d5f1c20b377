// Matrices in memory to blocks and back, for this room's tests; may depend on blockwise.
import { BlockQuantizer, unpackRows, wholeMatrix, type BlockedWeights, type BlockOptions } from "./blockwise.ts";

/** `BlockQuantizer` of a row-major matrix in memory. */
export function quantizeBlocks(
  weight: Float32Array,
  k: number,
  n: number,
  options: BlockOptions,
  importance?: Float64Array,
): BlockedWeights {
  const quantizer = new BlockQuantizer(k, n, options, { meanSquare: importance });
  quantizer.take(wholeMatrix(weight, k, n));
  return quantizer.result;
}

/** The `[K, N]` weights that a kernel sees behind `weights`. */
export function dequantizeBlocks(weights: BlockedWeights, k: number, n: number, options: BlockOptions): Float32Array {
  const { bits, blockSize } = options;
  const { blocks, scales } = weights;
  const length = blocks * blockSize;
  const integers = unpackRows(weights.packed, n, length, bits);
  const zeroPoints = weights.zeroPoints && unpackRows(weights.zeroPoints, n, blocks, bits);
  const middle = 2 ** (bits - 1);
  const result = new Float32Array(k * n);
  for (let column = 0; column < n; column++) {
    for (let row = 0; row < k; row++) {
      const block = column * blocks + Math.floor(row / blockSize);
      const zeroPoint = zeroPoints === undefined ? middle : zeroPoints[block];
      result[row * n + column] = (integers[column * length + row] - zeroPoint) * scales[block];
    }
  }
  return result;
}

/** Squared error of `x·W` summed over the rows of x. */
export function outputError(
  rows: Float32Array,
  weight: Float32Array,
  rounded: Float32Array,
  k: number,
  n: number,
): number {
  let error = 0;
  for (let start = 0; start < rows.length; start += k) {
    for (let column = 0; column < n; column++) {
      let difference = 0;
      for (let i = 0; i < k; i++) difference += rows[start + i] * (weight[i * n + column] - rounded[i * n + column]);
      error += difference ** 2;
    }
  }
  return error;
}
