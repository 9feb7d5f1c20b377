// Blockwise 2-, 4- and 8-bit weights in the layout of ONNX Runtime's MatMulNBits; may depend on block-fit.
import { fitBlock, gridInteger, type FitOptions } from "./block-fit.ts";

export type BlockSize = 16 | 32 | 64 | 128 | 256;

export interface BlockOptions extends FitOptions {
  /** Neighbours along K that share a scale. */
  readonly blockSize: BlockSize;
}

/** Weights as integers, one a byte; a row is one output column. */
export interface BlockIntegers {
  /** `[N, blocks·blockSize]` */
  readonly integers: Uint8Array;
  /** `[N, blocks]` */
  readonly scales: Float32Array;
  /** `[N, blocks]`; absent: every zero point is 2^(bits−1). */
  readonly zeroPoints: Uint8Array | undefined;
  readonly blocks: number;
}

/** Weights as MatMulNBits reads them; B is stored transposed, one row per output column. */
export interface BlockedWeights {
  /** `[N, blocks, blockSize·bits/8]`; of the values in a byte the earliest one has the lowest bits. */
  readonly packed: Uint8Array;
  /** `[N, blocks]` */
  readonly scales: Float32Array;
  /** `[N, ceil(blocks·bits/8)]`; absent: every zero point is 2^(bits−1). */
  readonly zeroPoints: Uint8Array | undefined;
  readonly blocks: number;
}

/** Columns that are turned into rows together, so that memory is read in lines. */
export const STRIP = 64;

/** Integers of `bits` width packed row by row, each row padded with zeros to whole bytes. */
export function packRows(integers: Uint8Array, rows: number, bits: 2 | 4 | 8): Uint8Array {
  if (bits === 8) return integers;
  const length = integers.length / rows;
  const perByte = 8 / bits;
  const rowBytes = Math.ceil(length / perByte);
  const packed = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < length; at++) {
      packed[row * rowBytes + Math.floor(at / perByte)] |= integers[row * length + at] << ((at % perByte) * bits);
    }
  }
  return packed;
}

/** The inverse of `packRows`: `[rows, length]`. */
export function unpackRows(packed: Uint8Array, rows: number, length: number, bits: 2 | 4 | 8): Uint8Array {
  if (bits === 8) return packed;
  const perByte = 8 / bits;
  const rowBytes = packed.length / rows;
  const mask = 2 ** bits - 1;
  const integers = new Uint8Array(rows * length);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < length; at++) {
      const byte = packed[row * rowBytes + Math.floor(at / perByte)];
      integers[row * length + at] = (byte >> ((at % perByte) * bits)) & mask;
    }
  }
  return integers;
}

export function packBlocks(weights: BlockIntegers, n: number, bits: 2 | 4 | 8): BlockedWeights {
  const { integers, scales, zeroPoints, blocks } = weights;
  return {
    packed: packRows(integers, n, bits),
    scales,
    zeroPoints: zeroPoints === undefined ? undefined : packRows(zeroPoints, n, bits),
    blocks,
  };
}

/**
 * What an error in each row of the weights counts, padded to whole blocks `[blocks·blockSize]`.
 *
 * An input that is always zero must not leave its block without any error to go by: each row counts a little.
 */
export function paddedImportance(importance: Float64Array | undefined, k: number, length: number): Float64Array {
  const padded = new Float64Array(length);
  const total = importance?.reduce((sum, one) => sum + one, 0) ?? 0;
  const least = total / k / 1000 || 1;
  for (let row = 0; row < k; row++) padded[row] = (importance?.[row] ?? 0) + least;
  return padded;
}

/** Columns `first…first+width` of `weight` `[K, N]` as rows `[width, length]`, padded with zeros, in `into`. */
export function columnsAsRows(
  weight: Float32Array,
  k: number,
  n: number,
  first: number,
  width: number,
  length: number,
  into: Float32Array,
): void {
  for (let row = 0; row < k; row++) {
    const from = row * n + first;
    for (let column = 0; column < width; column++) into[column * length + row] = weight[from + column];
  }
}

/**
 * Quantises `weight` `[K, N]` (row-major) in blocks along K, each to the nearest point of the grid that `fitBlock` finds. K is
 * padded with zeros to whole blocks.
 *
 * @param importance `[K]`, what an error in a row of the weights counts: the mean square of the input it is multiplied with
 *   (Lin et al. 2023, AWQ, measure importance alike); all rows alike when left out
 */
export function quantizeToIntegers(
  weight: Float32Array,
  k: number,
  n: number,
  options: BlockOptions,
  importance?: Float64Array,
): BlockIntegers {
  const { bits, blockSize, symmetric } = options;
  const blocks = Math.ceil(k / blockSize);
  const length = blocks * blockSize;
  const top = 2 ** bits - 1;
  const integers = new Uint8Array(n * length);
  const scales = new Float32Array(n * blocks);
  const zeroPoints = symmetric ? undefined : new Uint8Array(n * blocks);
  const counts = paddedImportance(importance, k, length);
  const strip = new Float32Array(Math.min(STRIP, n) * length);
  const fit = { scale: 1, zeroPoint: 0 };
  for (let first = 0; first < n; first += STRIP) {
    const width = Math.min(STRIP, n - first);
    columnsAsRows(weight, k, n, first, width, length, strip);
    for (let block = 0; block < width * blocks; block++) {
      const start = block * blockSize;
      fitBlock(strip, start, blockSize, counts, (block % blocks) * blockSize, options, fit);
      const { scale, zeroPoint } = fit;
      scales[first * blocks + block] = scale;
      if (zeroPoints !== undefined) zeroPoints[first * blocks + block] = zeroPoint;
      const inverse = 1 / scale;
      for (let at = start; at < start + blockSize; at++) {
        integers[first * length + at] = gridInteger(strip[at], inverse, zeroPoint, top);
      }
    }
  }
  return { integers, scales, zeroPoints, blocks };
}

/** `quantizeToIntegers`, packed. */
export function quantizeBlocks(
  weight: Float32Array,
  k: number,
  n: number,
  options: BlockOptions,
  importance?: Float64Array,
): BlockedWeights {
  return packBlocks(quantizeToIntegers(weight, k, n, options, importance), n, options.bits);
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

/** Shapes of `[K, N]` weights as MatMulNBits' inputs; zero points are there for asymmetric grids only. */
export function blockShapes(k: number, n: number, { bits, blockSize }: BlockOptions) {
  const blocks = Math.ceil(k / blockSize);
  return {
    weight: [n, blocks, (blockSize * bits) / 8],
    scales: [n, blocks],
    zeroPoints: [n, Math.ceil((blocks * bits) / 8)],
  };
}

/** Bytes that `[K, N]` weights take in this form. */
export function blockedBytes(k: number, n: number, options: BlockOptions): number {
  const blocks = Math.ceil(k / options.blockSize);
  const zeroBytes = options.symmetric ? 0 : Math.ceil((blocks * options.bits) / 8);
  return n * ((blocks * options.blockSize * options.bits) / 8 + blocks * 4 + zeroBytes);
}
