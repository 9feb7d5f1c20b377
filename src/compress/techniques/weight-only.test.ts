// Tests of weight-only quantisation: near the original, smaller, in the engine's own form; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { seededRandom } from "../../statistics/index.ts";
import {
  convNet,
  executedOperators,
  gemmNet,
  matMulNet,
  outputsOf,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "./test-models.ts";
import { weightOnlyBlocks, weightOnlyColumns, type BlockwiseOptions } from "./weight-only.ts";

const NETS = [
  ["Gemm", gemmNet()],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
  ["Gemm at operator set 9", gemmNet({}, 9)],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
] as const;

async function blocks(
  graph: ReturnType<typeof gemmNet>,
  options: Partial<BlockwiseOptions> = {},
  calibration?: Dataset,
) {
  const result = await weightOnlyBlocks(
    graph,
    {
      bits: 4,
      blockSize: 16,
      symmetric: true,
      accuracyLevel: 0,
      ...options,
    },
    { calibration, threads: 1, signal: undefined },
  );
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

/** Like an image: most inputs nearly dark, some bright, all of them positive. */
const lit = (count: number, seed: number) => {
  const random = seededRandom(seed);
  const data = Float32Array.from(
    { length: count * 24 },
    (_, at) => Math.abs(random.normal()) * (at % 4 === 0 ? 2 : 0.05),
  );
  return createDataset({ name: "lit", inputs: new Map([["x", float32Tensor([count, 24], data)]]) });
};

describe("weightOnlyBlocks", () => {
  it.each(NETS)("loses little at 8 bits and bearably much at 4: %s", async (_name, graph) => {
    const data = samplesFor(graph, 40);
    const wanted = await outputsOf(graph, data);
    for (const symmetric of [true, false]) {
      for (const accuracyLevel of [0, 4] as const) {
        const noise = async (bits: 4 | 8) =>
          signalToNoise(wanted, await outputsOf((await blocks(graph, { bits, symmetric, accuracyLevel })).model, data));
        expect(await noise(8)).toBeGreaterThan(35);
        expect(await noise(4)).toBeGreaterThan(17);
      }
    }
  });

  it("runs as MatMulNBits and nothing else multiplies", async () => {
    const counts = await executedOperators((await blocks(gemmNet())).model);
    expect(counts).toMatchObject({ MatMulNBits: 2 });
    expect(counts).not.toHaveProperty("Gemm");
  });

  it("multiplies 4-bit integers at level 4 and floats below, as the optimised graph tells", async () => {
    const precision = async (accuracyLevel: 0 | 4) =>
      executedPrecision(await serializeOnnx((await blocks(gemmNet(), { accuracyLevel })).model));
    expect(await precision(4)).toMatchObject({ int4Share: 1, floatShare: 0 });
    expect(await precision(0)).toMatchObject({ int4Share: 0, floatShare: 1 });
  });

  it("puts the errors where inputs are small, and makes up for the mean error, given calibration data", async () => {
    const graph = gemmNet();
    const judged = lit(200, 2);
    const wanted = await outputsOf(graph, judged);
    const noise = async (calibration?: Dataset) =>
      signalToNoise(wanted, await outputsOf((await blocks(graph, {}, calibration)).model, judged));
    expect(await noise(lit(200, 1))).toBeGreaterThan((await noise()) + 2);
  });

  it("leaves convolutions alone and says so", async () => {
    expect((await blocks(convNet())).notes.join()).toMatch(/2 convolutions stay float/);
  });
});

describe("weightOnlyColumns", () => {
  it.each(NETS)("loses little and takes about a quarter of the weights' bytes: %s", async (_name, graph) => {
    const data = samplesFor(graph, 40);
    const result = await weightOnlyColumns(graph);
    if (result.kind === "refused") throw new Error(result.reason);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(result.model, data))).toBeGreaterThan(35);
    const [before, after] = [await serializeOnnx(graph), await serializeOnnx(result.model)];
    const weights = 24 * 32 + 32 * 6;
    expect(before.length - after.length).toBeGreaterThan(weights * 3 - 4 * 38 - 400);
  });
});
