// Rounding of weights one input after another, each making up for the errors before it (GPTQ); may depend on blockwise and block-fit.
import { BlockFitter } from "./block-fit.ts";
import { STRIP } from "./block-kernel.ts";
import {
  copyStrip,
  packRows,
  paddedImportance,
  wholeMatrix,
  type BlockedWeights,
  type BlockOptions,
} from "./blockwise.ts";

/** Share of the mean diagonal added to it: inputs that hardly vary must not be divided by. */
const DAMPING = 0.01;

/** How the errors of earlier inputs enter later ones. */
export interface Feedback {
  /** Inputs from the strongest to the weakest, the order in which they are rounded: `[K]`. */
  readonly order: Uint32Array;
  /** Row i, left of the diagonal: what the error of the input `order[j]` adds to the weight of `order[i]`: `[K, K]`. */
  readonly factors: Float64Array;
  /** Mean square of each input, `[K]`. */
  readonly importance: Float64Array;
}

/**
 * Splits `H = XᵀX + damping` in rounding order into `(I + M)·D·(I + M)ᵀ` with M strictly upper triangular; `factors` is Mᵀ.
 *
 * For any rounding, the squared error on X is the sum over i of `D_i · (error_i + Σ_{j<i} error_j·M_ji)²`: rounding
 * `w_i + Σ_{j<i} error_j·M_ji` leaves each term as small as a single rounding. That is GPTQ (Frantar et al. 2022) in the form of
 * Chee et al. 2023 (QuIP), which needs no inverse. K³/6 multiply-adds.
 *
 * @param gram `XᵀX` of the inputs, `[K, K]`, over `count` rows; changed in place
 */
export function feedbackOf(gram: Float64Array, k: number, count: number): Feedback {
  const importance = Float64Array.from({ length: k }, (_, at) => gram[at * k + at] / count);
  const order = Uint32Array.from({ length: k }, (_, at) => at).sort((a, b) => importance[b] - importance[a] || a - b);
  const mean = importance.reduce((sum, one) => sum + one, 0) / k;
  const damping = DAMPING * mean * count || 1;
  const factors = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    const from = order[i] * k;
    for (let j = 0; j <= i; j++) factors[i * k + j] = gram[from + order[j]];
    factors[i * k + i] += damping;
  }
  for (let j = k - 1; j > 0; j--) {
    const row = j * k;
    const pivot = factors[row + j];
    for (let i = 0; i < j; i++) {
      const share = factors[row + i] / pivot;
      if (share === 0) continue;
      const target = i * k;
      for (let l = 0; l <= i; l++) factors[target + l] -= share * factors[row + l];
    }
    for (let i = 0; i < j; i++) factors[row + i] /= pivot;
  }
  return { order, factors, importance };
}

/** `Σ left[l + i]·right[r + i]` in four running sums, because one would wait for itself. */
function dot(left: Float64Array, l: number, right: Float32Array, r: number, length: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += left[l + i] * right[r + i];
    b += left[l + i + 1] * right[r + i + 1];
    c += left[l + i + 2] * right[r + i + 2];
    d += left[l + i + 3] * right[r + i + 3];
  }
  for (let i = whole; i < length; i++) a += left[l + i] * right[r + i];
  return a + b + (c + d);
}

/**
 * Quantises `weight` `[K, N]` in blocks along K, rounding so that the error of the layer's output on the inputs behind `feedback`
 * is small.
 *
 * The blocks' scales and zero points come from the weights as they are (static groups), so that inputs can be rounded in the order
 * of their strength and still lie in their own block: no `g_idx`, which MatMulNBits takes on a path 80 times slower.
 */
export function quantizeWithFeedback(
  weight: Float32Array,
  k: number,
  n: number,
  options: BlockOptions,
  { order, factors, importance }: Feedback,
): BlockedWeights {
  const { bits, blockSize, symmetric } = options;
  const blocks = Math.ceil(k / blockSize);
  const length = blocks * blockSize;
  const top = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  // What pads K is never rounded: it stays at the zero point.
  const integers = new Uint8Array(n * length).fill(middle);
  const scales = new Float32Array(n * blocks);
  const zeroPoints = symmetric ? undefined : new Uint8Array(n * blocks);
  const counts = paddedImportance(importance, k, length);
  const errors = new Float32Array(k);
  const fitter = new BlockFitter(blockSize, options);
  const matrix = wholeMatrix(weight, k, n);
  for (let first = 0; first < n; first += STRIP) {
    const width = Math.min(STRIP, n - first);
    for (let block = 0; block < blocks; block++) {
      const row = block * blockSize;
      const rows = Math.min(blockSize, k - row);
      copyStrip(matrix, row, rows, first, width, fitter.values);
      fitter.values.fill(0, rows * STRIP);
      fitter.counts.set(counts.subarray(row, row + blockSize));
      fitter.fit(width);
      for (let at = 0; at < width; at++) {
        scales[(first + at) * blocks + block] = fitter.scales[at];
        if (zeroPoints !== undefined) zeroPoints[(first + at) * blocks + block] = fitter.zeroPoints[at];
      }
    }
    for (let column = first; column < first + width; column++) {
      for (let i = 0; i < k; i++) {
        const row = order[i];
        const block = column * blocks + Math.floor(row / blockSize);
        const scale = scales[block];
        const zeroPoint = zeroPoints?.[block] ?? middle;
        const value = weight[row * n + column];
        const level = Math.round((value + dot(factors, i * k, errors, 0, i)) / scale);
        const integer = Math.min(top, Math.max(0, level + zeroPoint));
        integers[column * length + row] = integer;
        errors[i] = value - (integer - zeroPoint) * scale;
      }
    }
  }
  const packedZeros = zeroPoints && packRows(zeroPoints, n, bits);
  return { packed: packRows(integers, n, bits), scales, zeroPoints: packedZeros, blocks };
}
