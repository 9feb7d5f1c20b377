// Tests of what scales cost a product's outputs: against rounding and multiplying by hand, and with threads; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import type { BlockOptions } from "./blockwise.ts";
import { outputErrors, type ScaledProduct } from "./scale-search.ts";
import { dequantizeBlocks, outputError, quantizeBlocks } from "./test-blocks.ts";

/** Inputs of different strength, an odd number of rows, K no multiple of the block. */
function productOf(k: number, n: number, options: BlockOptions): ScaledProduct {
  const random = seededRandom(k + n);
  const strength = Float64Array.from({ length: k }, () => Math.exp(random.normal()));
  const rows = Float32Array.from({ length: 7 * k }, (_, at) => random.normal() * strength[at % k]);
  const scales = [0, 0.5, 1].map((alpha) => strength.map((one) => 2 ** Math.round(alpha * Math.log2(one))));
  return {
    weight: Float32Array.from({ length: k * n }, () => random.normal()),
    k,
    n,
    rows,
    meanSquare: strength.map((one) => one ** 2),
    scales,
    options,
  };
}

describe("outputErrors", () => {
  it.each([
    [{ bits: 4, blockSize: 32, symmetric: true }, 70, 130],
    [{ bits: 2, blockSize: 16, symmetric: false }, 64, 64],
    [{ bits: 8, blockSize: 128, symmetric: false }, 100, 5],
  ] as const)("are those of weights that were rounded and multiplied by hand: %j", async (options, k, n) => {
    const product = productOf(k, n, options);
    const { weight, rows, meanSquare, scales } = product;
    const found = await outputErrors(product, undefined);
    for (const [at, scale] of scales.entries()) {
      const scaled = weight.map((value, index) => value * scale[Math.floor(index / n)]);
      const importance = meanSquare.map((square, row) => square / scale[row] ** 2);
      const rounded = dequantizeBlocks(quantizeBlocks(scaled, k, n, options, importance), k, n, options);
      const restored = rounded.map((value, index) => value / scale[Math.floor(index / n)]);
      expect(found[at] / outputError(rows, weight, restored, k, n)).toBeCloseTo(1, 3);
    }
    expect(new Set(found).size).toBe(scales.length);
  });

  it("are the same to the last bit with threads", async () => {
    const product = productOf(300, 900, { bits: 4, blockSize: 32, symmetric: true });
    const pool = createThreadPool(2);
    try {
      expect(await outputErrors(product, pool)).toEqual(await outputErrors(product, undefined));
    } finally {
      await pool.close();
    }
  });
});
