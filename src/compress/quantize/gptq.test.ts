// Tests of rounding with feedback: by hand for two inputs, against all roundings for few, and never worse on its data; depends on
// this folder and statistics.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../statistics/index.ts";
import { dequantizeBlocks, quantizeBlocks, type BlockOptions, unpackRows } from "./blockwise.ts";
import { feedbackOf, quantizeWithFeedback } from "./gptq.ts";

function gramOf(rows: Float32Array, k: number): Float64Array {
  const gram = new Float64Array(k * k);
  for (let start = 0; start < rows.length; start += k) {
    for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) gram[i * k + j] += rows[start + i] * rows[start + j];
  }
  return gram;
}

/** Squared error of `x·W` summed over the rows of x. */
function outputError(rows: Float32Array, weight: Float32Array, rounded: Float32Array, k: number, n: number): number {
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

/** Every input is its neighbour's plus something of its own. */
function correlated(count: number, k: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  const rows = new Float32Array(count * k);
  for (let at = 0; at < rows.length; at++) rows[at] = (at % k === 0 ? 0 : 0.9 * rows[at - 1]) + random.normal();
  return rows;
}

describe("feedbackOf", () => {
  it("gives the factor that completing the square gives by hand", () => {
    // a·e₁² + 2b·e₁e₂ + c·e₂² = (a − b²/c)·e₁² + c·(e₂ + (b/c)·e₁)², with c the second input's damped sum.
    const { order, factors, importance } = feedbackOf(Float64Array.of(2, 3, 3, 8), 2, 1);
    expect([...order]).toEqual([1, 0]);
    expect([...importance]).toEqual([2, 8]);
    expect(factors[2]).toBeCloseTo(3 / (2 + 0.01 * 5), 12);
  });

  it("splits the Gram matrix without remainder", () => {
    const k = 7;
    const gram = gramOf(correlated(40, k, 3), k);
    const { order, factors } = feedbackOf(gram, k, 40);
    const mean = Array.from({ length: k }, (_, i) => gram[i * k + i]).reduce((a, b) => a + b) / k;
    const unit = (i: number, j: number) => (i === j ? 1 : j > i ? factors[j * k + i] : 0);
    for (let i = 0; i < k; i++) {
      for (let j = 0; j < k; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += unit(i, l) * factors[l * k + l] * unit(j, l);
        expect(sum).toBeCloseTo(gram[order[i] * k + order[j]] + (i === j ? 0.01 * mean : 0), 6);
      }
    }
  });
});

describe("quantizeWithFeedback", () => {
  const [k, n] = [48, 6];
  const rows = correlated(400, k, 5);
  const random = seededRandom(6);
  const weight = Float32Array.from({ length: k * n }, () => random.normal());
  const importance = Float64Array.from({ length: k }, (_, i) => gramOf(rows, k)[i * k + i] / 400);

  it.each([2, 4, 8] as const)("errs far less than rounding to nearest on correlated inputs: %i bits", (bits) => {
    for (const symmetric of [true, false]) {
      const options: BlockOptions = { bits, blockSize: 16, symmetric };
      const nearest = quantizeBlocks(weight, k, n, options, importance);
      const feedback = quantizeWithFeedback(weight, k, n, options, feedbackOf(gramOf(rows, k), k, 400));
      const errorOf = (blocked: typeof nearest) =>
        outputError(rows, weight, dequantizeBlocks(blocked, k, n, options), k, n);
      expect(errorOf(feedback)).toBeLessThan(0.6 * errorOf(nearest));
    }
  });

  it("is rounding to nearest when inputs are independent", () => {
    const gram = new Float64Array(k * k);
    for (let i = 0; i < k; i++) gram[i * k + i] = 10;
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: false };
    const nearest = quantizeBlocks(weight, k, n, options, new Float64Array(k).fill(1));
    const { packed, scales, zeroPoints } = quantizeWithFeedback(weight, k, n, options, feedbackOf(gram, k, 10));
    expect([packed, scales, zeroPoints]).toEqual([nearest.packed, nearest.scales, nearest.zeroPoints]);
  });

  it("stays in range where an input is always zero", () => {
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: true };
    const dark = rows.map((value, at) => (at % k < 20 ? 0 : value));
    const { packed, scales } = quantizeWithFeedback(weight, k, n, options, feedbackOf(gramOf(dark, k), k, 400));
    expect(Math.max(...unpackRows(packed, n, k, 4))).toBeLessThanOrEqual(15);
    expect(scales.every(Number.isFinite)).toBe(true);
  });
});
