// Blockwise 4- and 8-bit weights in the layout of ONNX Runtime's MatMulNBits; may depend on affine.
import { clamp, roundHalfEven } from "./affine.ts";

export type BlockSize = 16 | 32 | 64 | 128 | 256;

export interface BlockOptions {
  readonly bits: 4 | 8;
  /** Neighbours along K that share a scale. */
  readonly blockSize: BlockSize;
  /** False: each block also has an integer zero point, which pays for lopsided weights and costs `bits` per block. */
  readonly symmetric: boolean;
}

/** Weights as MatMulNBits reads them; B is stored transposed, one row per output column. */
export interface BlockedWeights {
  /** `[N, blocks, blockSize·bits/8]`; of two 4-bit values in a byte the earlier one is the low half. */
  readonly packed: Uint8Array;
  /** `[N, blocks]` */
  readonly scales: Float32Array;
  /** `[N, ceil(blocks·bits/8)]`; absent: every zero point is 2^(bits−1). */
  readonly zeroPoints: Uint8Array | undefined;
  readonly blocks: number;
}

/** Fractions of the full range tried per block: giving up the outermost value often lowers the error of all others. */
const CLIP_RATIOS = [1, 0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7];

interface Fit {
  readonly scale: number;
  readonly zeroPoint: number;
}

function squaredError(block: Float32Array, importance: Float64Array, fit: Fit, top: number): number {
  let error = 0;
  for (let at = 0; at < block.length; at++) {
    const integer = clamp(roundHalfEven(block[at] / fit.scale) + fit.zeroPoint, 0, top);
    error += importance[at] * (block[at] - (integer - fit.zeroPoint) * fit.scale) ** 2;
  }
  return error;
}

function symmetricFits(block: Float32Array, middle: number): Fit[] {
  let extreme = 0;
  for (const value of block) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  // The grid has one step more below zero than above: mirroring it lets the largest value use that step, whatever its sign.
  const mirrored = CLIP_RATIOS.map((ratio) => (-extreme / middle) * ratio);
  const even = CLIP_RATIOS.map((ratio) => (Math.abs(extreme) / (middle - 1)) * ratio);
  return [...mirrored, ...even].map((scale) => ({ scale: Math.fround(scale), zeroPoint: middle }));
}

function asymmetricFits(block: Float32Array, top: number): Fit[] {
  const low = Math.min(0, ...block);
  const high = Math.max(0, ...block);
  return CLIP_RATIOS.map((ratio) => {
    const scale = Math.fround(((high - low) / top) * ratio);
    return { scale, zeroPoint: clamp(roundHalfEven((-low * ratio) / scale), 0, top) };
  });
}

function bestFit(block: Float32Array, importance: Float64Array, options: BlockOptions): Fit {
  const top = 2 ** options.bits - 1;
  const middle = 2 ** (options.bits - 1);
  const fits = options.symmetric
    ? symmetricFits(block, middle)
    : [...asymmetricFits(block, top), ...symmetricFits(block, middle)];
  let best: Fit = { scale: 1, zeroPoint: middle };
  let least = Infinity;
  for (const fit of fits) {
    // A block of zeros has no scale; a denormal one makes the kernel divide by nothing.
    if (!(Math.abs(fit.scale) > 2 ** -120)) continue;
    const error = squaredError(block, importance, fit, top);
    if (error < least) [best, least] = [fit, error];
  }
  return best;
}

/** Writes `value` of `bits` width as element `index` of a row of packed integers. */
function putBits(target: Uint8Array, rowStart: number, index: number, bits: 4 | 8, value: number): void {
  if (bits === 8) target[rowStart + index] = value;
  else target[rowStart + (index >> 1)] |= index % 2 === 0 ? value : value << 4;
}

function getBits(source: Uint8Array, rowStart: number, index: number, bits: 4 | 8): number {
  if (bits === 8) return source[rowStart + index];
  const byte = source[rowStart + (index >> 1)];
  return index % 2 === 0 ? byte & 15 : byte >> 4;
}

/**
 * Quantises `weight` `[K, N]` (row-major) in blocks along K. Each block takes the scale of least squared error among clipped
 * and mirrored ranges. K is padded with zeros to whole blocks.
 *
 * @param importance `[K]`, what an error in a row of the weights counts: the mean square of the input it is multiplied with
 *   (Lin et al. 2023, AWQ, measure importance alike); all rows alike when left out
 */
export function quantizeBlocks(
  weight: Float32Array,
  k: number,
  n: number,
  options: BlockOptions,
  importance: Float64Array = new Float64Array(k).fill(1),
): BlockedWeights {
  const { bits, blockSize } = options;
  const blocks = Math.ceil(k / blockSize);
  const rowBytes = (blocks * blockSize * bits) / 8;
  const zeroRowBytes = Math.ceil((blocks * bits) / 8);
  const packed = new Uint8Array(n * rowBytes);
  const scales = new Float32Array(n * blocks);
  const zeroPoints = options.symmetric ? undefined : new Uint8Array(n * zeroRowBytes);
  const top = 2 ** bits - 1;
  const block = new Float32Array(blockSize);
  // An input that is always zero must not leave its block without any error to go by.
  const least = importance.reduce((sum, one) => sum + one, 0) / k / 1000 || 1;
  const padded = Float64Array.from({ length: blocks * blockSize }, (_, row) => (row < k ? importance[row] + least : 0));
  for (let column = 0; column < n; column++) {
    for (let index = 0; index < blocks; index++) {
      const start = index * blockSize;
      for (let i = 0; i < blockSize; i++) block[i] = start + i < k ? weight[(start + i) * n + column] : 0;
      const { scale, zeroPoint } = bestFit(block, padded.subarray(start, start + blockSize), options);
      scales[column * blocks + index] = scale;
      if (zeroPoints !== undefined) putBits(zeroPoints, column * zeroRowBytes, index, bits, zeroPoint);
      for (let i = 0; i < blockSize; i++) {
        const integer = clamp(roundHalfEven(block[i] / scale) + zeroPoint, 0, top);
        putBits(packed, column * rowBytes, start + i, bits, integer);
      }
    }
  }
  return { packed, scales, zeroPoints, blocks };
}

/** The `[K, N]` weights that a kernel sees behind `weights`. */
export function dequantizeBlocks(weights: BlockedWeights, k: number, n: number, options: BlockOptions): Float32Array {
  const { bits, blockSize } = options;
  const { blocks } = weights;
  const rowBytes = (blocks * blockSize * bits) / 8;
  const zeroRowBytes = Math.ceil((blocks * bits) / 8);
  const result = new Float32Array(k * n);
  for (let column = 0; column < n; column++) {
    for (let row = 0; row < k; row++) {
      const index = Math.floor(row / blockSize);
      const zeroPoint =
        weights.zeroPoints === undefined
          ? 2 ** (bits - 1)
          : getBits(weights.zeroPoints, column * zeroRowBytes, index, bits);
      const integer = getBits(weights.packed, column * rowBytes, row, bits);
      result[row * n + column] = (integer - zeroPoint) * weights.scales[column * blocks + index];
    }
  }
  return result;
}

/** Bytes that `[K, N]` weights take in this form. */
export function blockedBytes(k: number, n: number, options: BlockOptions): number {
  const blocks = Math.ceil(k / options.blockSize);
  const zeroBytes = options.symmetric ? 0 : Math.ceil((blocks * options.bits) / 8);
  return n * ((blocks * options.blockSize * options.bits) / 8 + blocks * 4 + zeroBytes);
}
