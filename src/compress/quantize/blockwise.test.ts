// Tests of blockwise weights: the bytes mean what ONNX Runtime's MatMulNBits makes of them; depends on runtime for the oracle.
import { describe, expect, it } from "vitest";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { BlockQuantizer, unpackRows, type BlockOptions } from "./blockwise.ts";
import { dequantizeBlocks, quantizeBlocks } from "./test-blocks.ts";

const normal = (count: number, seed: number): Float32Array => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

const meanSquareError = (left: Float32Array, right: Float32Array): number =>
  left.reduce((total, value, at) => total + (value - right[at]) ** 2, 0) / left.length;

/** The weights as the engine sees them: the product of the identity with them. */
async function seenByEngine(weight: Float32Array, k: number, n: number, options: BlockOptions): Promise<Float32Array> {
  const { packed, scales, zeroPoints, blocks } = quantizeBlocks(weight, k, n, options);
  const tensors = [
    memoryTensor("q", {
      dtype: "uint8",
      shape: [n, blocks, (options.blockSize * options.bits) / 8],
      data: packed,
    }),
    memoryTensor("s", float32Tensor([n, blocks], scales)),
    ...(zeroPoints === undefined
      ? []
      : [memoryTensor("z", { dtype: "uint8", shape: [n, zeroPoints.length / n], data: zeroPoints })]),
  ];
  const attributes = { K: int(k), N: int(n), bits: int(options.bits), block_size: int(options.blockSize) };
  const graph = model(
    {
      nodes: [
        node("MatMulNBits", ["x", ...tensors.map(({ name }) => name)], ["y"], attributes, { domain: "com.microsoft" }),
      ],
      inputs: [tensorInfo("x", "float32", [k, k])],
      outputs: [tensorInfo("y", "float32", [k, n])],
      initializers: tensors,
    },
    { "": 17, "com.microsoft": 1 },
  );
  const session = await openSession(await serializeOnnx(graph), { threads: 1 });
  const identity = Float32Array.from({ length: k * k }, (_, at) => (Math.floor(at / k) === at % k ? 1 : 0));
  const { y } = await session.run({ x: float32Tensor([k, k], identity) });
  await session.close();
  return y.data as Float32Array;
}

const CASES: BlockOptions[] = ([2, 4, 8] as const).flatMap((bits) =>
  ([16, 32, 128] as const).flatMap((blockSize) => [true, false].map((symmetric) => ({ bits, blockSize, symmetric }))),
);

describe("quantizeBlocks", () => {
  it.each(CASES)(
    "stores what MatMulNBits reads: $bits bits, blocks of $blockSize, symmetric $symmetric",
    async (options) => {
      // 100 is no multiple of any block size, and 3 columns of 7 blocks leave half a byte of zero points over.
      const [k, n] = [100, 3];
      const weight = normal(k * n, 11);
      const ours = dequantizeBlocks(quantizeBlocks(weight, k, n, options), k, n, options);
      const engine = await seenByEngine(weight, k, n, options);
      ours.forEach((value, at) => expect(engine[at]).toBeCloseTo(value, 5));
    },
  );

  it("is never worse than plain rounding to the full range, and clearly better with an outlier", () => {
    const options: BlockOptions = { bits: 4, blockSize: 32, symmetric: true };
    const weight = normal(64 * 4, 5);
    const plain = Float32Array.from(weight, (_, at) => {
      const [row, column] = [Math.floor(at / 4), at % 4];
      const start = Math.floor(row / 32) * 32;
      const block = Array.from({ length: 32 }, (__, i) => Math.abs(weight[(start + i) * 4 + column]));
      const scale = Math.max(...block) / 7;
      return Math.round(weight[at] / scale) * scale;
    });
    const ours = dequantizeBlocks(quantizeBlocks(weight, 64, 4, options), 64, 4, options);
    expect(meanSquareError(ours, weight)).toBeLessThan(meanSquareError(plain, weight));
  });

  it("uses zero points where weights lie to one side", () => {
    const weight = normal(64 * 2, 8).map((value) => value * 0.1 + 3);
    const error = (symmetric: boolean) => {
      const options: BlockOptions = { bits: 4, blockSize: 32, symmetric };
      return meanSquareError(dequantizeBlocks(quantizeBlocks(weight, 64, 2, options), 64, 2, options), weight);
    };
    expect(error(false)).toBeLessThanOrEqual(error(true));
  });

  it("lets outliers go for the sake of all others, if so told: half-quadratic, with integer zero points", () => {
    const weight = normal(512 * 4, 21).map((value, at) => (at % 97 === 0 ? value * 6 : value + 0.5));
    const seen = (fit: "squared" | "half-quadratic") => {
      const options: BlockOptions = { bits: 4, blockSize: 64, symmetric: false, fit };
      const rounded = dequantizeBlocks(quantizeBlocks(weight, 512, 4, options), 512, 4, options);
      const errors = weight.map((value, at) => Math.abs(value - rounded[at]));
      return {
        robust: errors.reduce((sum, error) => sum + error ** 0.75, 0),
        squared: errors.reduce((sum, error) => sum + error ** 2, 0),
      };
    };
    expect(seen("half-quadratic").robust).toBeLessThan(0.98 * seen("squared").robust);
    expect(seen("squared").squared).toBeLessThan(0.98 * seen("half-quadratic").squared);
  });

  it.each(CASES)(
    "rounds each weight to the nearest point of its block's grid: $bits bits, blocks of $blockSize, symmetric $symmetric",
    (options) => {
      const [k, n] = [100, 70];
      const weight = normal(k * n, 31);
      const { packed, scales, zeroPoints, blocks } = quantizeBlocks(weight, k, n, options);
      const integers = unpackRows(packed, n, blocks * options.blockSize, options.bits);
      const zeros = zeroPoints && unpackRows(zeroPoints, n, blocks, options.bits);
      weight.forEach((value, at) => {
        const [row, column] = [Math.floor(at / n), at % n];
        const block = column * blocks + Math.floor(row / options.blockSize);
        const zero = zeros?.[block] ?? 2 ** (options.bits - 1);
        const nearest = Math.min(2 ** options.bits - 1, Math.max(0, Math.round(value / scales[block] + zero)));
        const distance = (integer: number) => Math.abs(value - (integer - zero) * scales[block]);
        const found = distance(integers[column * blocks * options.blockSize + row]);
        // Half-way between two points either will do.
        expect(found).toBeLessThanOrEqual(distance(nearest) + 1e-5 * Math.abs(scales[block]));
      });
    },
  );

  it.each(["squared", "half-quadratic"] as const)(
    "gives a column what it gets alone, wherever it stands: %s",
    (fit) => {
      const [k, n] = [100, 70];
      const weight = normal(k * n, 12);
      const options: BlockOptions = { bits: 4, blockSize: 32, symmetric: false, fit };
      const together = dequantizeBlocks(quantizeBlocks(weight, k, n, options), k, n, options);
      for (const column of [0, 3, 63, 64, 69]) {
        const alone = Float32Array.from({ length: k }, (_, row) => weight[row * n + column]);
        const seen = dequantizeBlocks(quantizeBlocks(alone, k, 1, options), k, 1, options);
        expect(seen).toEqual(Float32Array.from({ length: k }, (_, row) => together[row * n + column]));
      }
    },
  );

  it("takes a matrix in parts, however it lies, with a factor, and tells what the product loses in the mean", () => {
    const [k, n] = [100, 70];
    const weight = normal(k * n, 14);
    const transposed = Float32Array.from({ length: k * n }, (_, at) => weight[(at % k) * n + Math.floor(at / k)] * 2);
    const inputs = { mean: Float64Array.from(normal(k, 15)), meanSquare: Float64Array.from(normal(k, 16), Math.abs) };
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: true };
    const quantizer = new BlockQuantizer(k, n, options, inputs, 0.5);
    for (let column = 0; column < n; column += 64) {
      const columns = Math.min(64, n - column);
      const values = transposed.subarray(column * k, (column + columns) * k);
      const part = { values, firstRow: 0, rows: k, firstColumn: column, columns, rowStride: 1, columnStride: k };
      quantizer.take(part);
    }
    const { shift, ...found } = quantizer.result;
    const whole = quantizeBlocks(weight, k, n, options, inputs.meanSquare);
    expect(found.packed).toEqual(whole.packed);
    expect(found.scales).toEqual(whole.scales);
    const rounded = dequantizeBlocks(whole, k, n, options);
    for (let column = 0; column < n; column++) {
      let lost = 0;
      for (let row = 0; row < k; row++) {
        lost += inputs.mean[row] * (weight[row * n + column] - rounded[row * n + column]);
      }
      expect(shift[column]).toBeCloseTo(lost, 4);
    }
  });

  it("rounds the rest of a block that holds what is no number, or too large to square", () => {
    const options: BlockOptions = { bits: 8, blockSize: 16, symmetric: true };
    const odd = Float32Array.from({ length: 16 }, (_, at) => (at === 5 ? Number.NaN : at - 8));
    const huge = Float32Array.from({ length: 16 }, (_, at) => (at - 8) * 1e30);
    const seen = (weight: Float32Array) => dequantizeBlocks(quantizeBlocks(weight, 16, 1, options), 16, 1, options);
    seen(odd).forEach((value, at) => at === 5 || expect(Math.abs(value - odd[at])).toBeLessThan(0.05));
    seen(huge).forEach((value, at) => expect(Math.abs(value - huge[at])).toBeLessThan(0.05e30));
  });

  it("gives zeros back for a block of zeros", () => {
    const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: false };
    const zeros = new Float32Array(32);
    expect(dequantizeBlocks(quantizeBlocks(zeros, 32, 1, options), 32, 1, options)).toEqual(zeros);
  });
});
