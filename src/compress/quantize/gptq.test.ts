// Tests of rounding with feedback: by hand for two inputs, as one input after another in double precision, and never worse on its
// data; depends on this folder, runtime and statistics.
import { describe, expect, it } from "vitest";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import { unpackRows, wholeMatrix, type BlockOptions } from "./blockwise.ts";
import { feedbackOf, type Feedback } from "./feedback.ts";
import { quantizeWithFeedback } from "./gptq.ts";
import { dequantizeBlocks, outputError, quantizeBlocks } from "./test-blocks.ts";

/** E[x·xᵀ] */
function momentsOf(rows: Float32Array, k: number): Float64Array {
  const second = new Float64Array(k * k);
  for (let start = 0; start < rows.length; start += k) {
    for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) second[i * k + j] += rows[start + i] * rows[start + j];
  }
  return second.map((sum) => (sum * k) / rows.length);
}

/** Every input is its neighbour's plus something of its own. */
function correlated(count: number, k: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  const rows = new Float32Array(count * k);
  for (let at = 0; at < rows.length; at++) rows[at] = (at % k === 0 ? 0 : 0.9 * rows[at - 1]) + random.normal();
  return rows;
}

describe("feedbackOf", () => {
  it("gives the factor that completing the square gives by hand", async () => {
    // a·e₁² + 2b·e₁e₂ + c·e₂² = (a − b²/c)·e₁² + c·(e₂ + (b/c)·e₁)², with c the second input's damped sum.
    const { order, factors, importance } = await feedbackOf(Float64Array.of(2, 3, 3, 8), 2);
    expect([...order]).toEqual([1, 0]);
    expect([...importance]).toEqual([2, 8]);
    expect(factors[2]).toBeCloseTo(3 / (2 + 0.01 * 5), 6);
  });

  it.each([7, 64, 150])("splits the moments of %i inputs without remainder", async (k) => {
    const second = momentsOf(correlated(2 * k, k, 3), k);
    const { order, factors } = await feedbackOf(second, k);
    const mean = Array.from({ length: k }, (_, i) => second[i * k + i]).reduce((a, b) => a + b) / k;
    const unit = (i: number, j: number) => (i === j ? 1 : j > i ? factors[j * k + i] : 0);
    for (let i = 0; i < k; i++) {
      for (let j = 0; j < k; j++) {
        let sum = 0;
        for (let l = Math.max(i, j); l < k; l++) sum += unit(i, l) * factors[l * k + l] * unit(j, l);
        expect(sum).toBeCloseTo(second[order[i] * k + order[j]] + (i === j ? 0.01 * mean : 0), 4);
      }
    }
  });

  it("gives the same bytes on threads", async () => {
    const k = 1100;
    const second = momentsOf(correlated(30, k, 3), k);
    const pool = createThreadPool(2);
    try {
      expect((await feedbackOf(second, k, pool)).factors).toEqual((await feedbackOf(second, k)).factors);
    } finally {
      await pool.close();
    }
  });
});

/** The same rounding, one input of one column after another, in double precision. */
function oneByOne(column: Float64Array, scales: Float64Array, zeros: Float64Array, top: number, feedback: Feedback) {
  const { order, factors } = feedback;
  const k = order.length;
  const errors = new Float64Array(k);
  const rounded = new Float64Array(k);
  for (let i = 0; i < k; i++) {
    let target = column[order[i]];
    for (let j = 0; j < i; j++) target += factors[i * k + j] * errors[j];
    const [scale, zero] = [scales[order[i]], zeros[order[i]]];
    rounded[order[i]] = (Math.min(top, Math.max(0, Math.round(target / scale) + zero)) - zero) * scale;
    errors[i] = column[order[i]] - rounded[order[i]];
  }
  return rounded;
}

describe("quantizeWithFeedback", () => {
  const [k, n] = [48, 6];
  const rows = correlated(400, k, 5);
  const random = seededRandom(6);
  const weight = Float32Array.from({ length: k * n }, () => random.normal());
  const part = wholeMatrix(weight, k, n);
  const importance = Float64Array.from({ length: k }, (_, i) => momentsOf(rows, k)[i * k + i]);

  it.each([2, 4, 8] as const)("errs far less than rounding to nearest on correlated inputs: %i bits", async (bits) => {
    for (const symmetric of [true, false]) {
      const options: BlockOptions = { bits, blockSize: 16, symmetric };
      const nearest = quantizeBlocks(weight, k, n, options, importance);
      const feedback = quantizeWithFeedback(part, options, await feedbackOf(momentsOf(rows, k), k));
      const errorOf = (blocked: typeof nearest) =>
        outputError(rows, weight, dequantizeBlocks(blocked, k, n, options), k, n);
      expect(errorOf(feedback)).toBeLessThan(0.6 * errorOf(nearest));
    }
  });

  it.each([2, 4, 8] as const)("rounds as one input after another does, over several panels: %i bits", async (bits) => {
    const [inputs, outputs] = [150, 70];
    const many = correlated(300, inputs, 8);
    const wide = Float32Array.from({ length: inputs * outputs }, () => random.normal());
    const feedback = await feedbackOf(momentsOf(many, inputs), inputs);
    const options: BlockOptions = { bits, blockSize: 16, symmetric: false };
    const mean = Float64Array.from({ length: inputs }, () => random.normal());
    const found = quantizeWithFeedback(wholeMatrix(wide, inputs, outputs), options, feedback, mean);
    const rounded = dequantizeBlocks(found, inputs, outputs, options);
    const zeroPoints = unpackRows(found.zeroPoints!, outputs, found.blocks, bits);
    const expected = new Float32Array(inputs * outputs);
    for (let column = 0; column < outputs; column++) {
      const ofBlocks = (values: ArrayLike<number>) =>
        Float64Array.from({ length: inputs }, (_, row) => values[column * found.blocks + Math.floor(row / 16)]);
      const weights = Float64Array.from({ length: inputs }, (_, row) => wide[row * outputs + column]);
      const alone = oneByOne(weights, ofBlocks(found.scales), ofBlocks(zeroPoints), 2 ** bits - 1, feedback);
      let lost = 0;
      for (let row = 0; row < inputs; row++) {
        expected[row * outputs + column] = alone[row];
        lost += mean[row] * (weights[row] - rounded[row * outputs + column]);
      }
      expect(found.shift[column]).toBeCloseTo(lost, 4);
    }
    // Now and then float32 falls to the other side of a half, and what follows makes up for another error.
    const differing = rounded.reduce((count, value, at) => count + (Math.abs(value - expected[at]) > 1e-5 ? 1 : 0), 0);
    expect(differing / rounded.length).toBeLessThan(0.05);
    const errorOf = (values: Float32Array) => outputError(many, wide, values, inputs, outputs);
    expect(errorOf(rounded) / errorOf(expected)).toBeCloseTo(1, 1);
  });

  it("is rounding to nearest when inputs are independent", async () => {
    const second = new Float64Array(k * k);
    for (let i = 0; i < k; i++) second[i * k + i] = 1;
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: false };
    const nearest = quantizeBlocks(weight, k, n, options, new Float64Array(k).fill(1));
    const { packed, scales, zeroPoints } = quantizeWithFeedback(part, options, await feedbackOf(second, k));
    expect([packed, scales, zeroPoints]).toEqual([nearest.packed, nearest.scales, nearest.zeroPoints]);
  });

  it("stays in range where an input is always zero", async () => {
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: true };
    const dark = rows.map((value, at) => (at % k < 20 ? 0 : value));
    const found = quantizeWithFeedback(part, options, await feedbackOf(momentsOf(dark, k), k));
    expect(found.scales.every(Number.isFinite)).toBe(true);
    const rounded = dequantizeBlocks(found, k, n, options);
    expect(outputError(dark, weight, rounded, k, n)).toBeLessThan(
      0.01 * outputError(dark, weight, new Float32Array(k * n), k, n),
    );
  });
});
