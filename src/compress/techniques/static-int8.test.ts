// Tests of static int8: near the original, fused into integer kernels, safe against overflow; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { describeThisMachine } from "../../io/machine.ts";
import { ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createDataset } from "../../runtime/dataset.ts";
import { seededRandom } from "../../statistics/index.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { branchedNet, gatedNet, mobileNet } from "./test-conv-models.ts";
import { weightGridFor } from "../weight-grid.ts";
import { staticInt8, type StaticInt8Options } from "./static-int8.ts";
import {
  convNet,
  executedOperators,
  gemmNet,
  matMulNet,
  net,
  outputsOf,
  randomTensor,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "./test-models.ts";

const weightGrid = weightGridFor(describeThisMachine()).grid;

type Form = StaticInt8Options["form"];
const FORMS: readonly Form[] = ["qdq", "qoperator"];

async function compressed(graph: ModelGraph, form: Form = "qdq", biasCorrection = true) {
  const calibration = samplesFor(graph, 200, 4);
  const context = { calibration, threads: 1, signal: undefined, weightGrid };
  const result = await staticInt8(graph, { range: { kind: "minmax" }, samples: 200, form, biasCorrection }, context);
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

const NETS = [
  ["Gemm", gemmNet(), { QGemm: 2 }],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet(), { QGemm: 2 }],
  ["Gemm at operator set 9", gemmNet({}, 9), { QGemm: 2 }],
  ["MatMul with a bias", matMulNet(["batch", 24]), { QGemm: 2 }],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24]), { MatMulIntegerToFloat: 2 }],
  ["convolutions with a residual sum", convNet(), { QLinearConv: 2, QLinearAdd: 1, QGemm: 1 }],
  ["depthwise, grouped and pointwise convolutions with Clip", mobileNet(), { QLinearConv: 5, QLinearAdd: 1, QGemm: 1 }],
  [
    "branches that are pooled and joined",
    branchedNet(),
    { QLinearConv: 4, QLinearConcat: 1, QLinearAveragePool: 1, QGemm: 1 },
  ],
  ["a gate, leaks and an enlarged image", gatedNet(), { QLinearConv: 5, QLinearMul: 1, QLinearLeakyRelu: 1 }],
] as const;

describe("staticInt8", () => {
  it.each(NETS)("stays close to the original: %s", async (_name, graph) => {
    const data = samplesFor(graph, 40);
    for (const form of FORMS) {
      const { model } = await compressed(graph, form);
      expect(signalToNoise(await outputsOf(graph, data), await outputsOf(model, data))).toBeGreaterThan(24);
    }
  });

  it.each(NETS)("runs in the engine's integer kernels: %s", async (_name, graph, kernels) => {
    for (const form of FORMS) {
      const { model } = await compressed(graph, form);
      const counts = await executedOperators(model);
      expect(counts).toMatchObject(kernels);
      for (const float of ["Gemm", "MatMul", "Conv", "FusedConv", "FusedGemm"]) {
        expect(counts).not.toHaveProperty(float);
      }
      const { int8Share, unknownOperators } = await executedPrecision(await serializeOnnx(model));
      expect({ int8Share, unknownOperators }).toEqual({ int8Share: 1, unknownOperators: [] });
    }
  });

  it("runs one layer in integers where a Relu and then a float layer follow", async () => {
    const graph = gemmNet();
    const context = { calibration: samplesFor(graph, 200, 4), threads: 1, signal: undefined, weightGrid };
    const options = { range: { kind: "minmax" }, samples: 200, form: "qdq", biasCorrection: true } as const;
    const result = await staticInt8(graph, { ...options, layers: ["h"] }, context);
    if (result.kind === "refused") throw new Error(result.reason);
    const counts = await executedOperators(result.model);
    expect(counts).toMatchObject({ QGemm: 1, Gemm: 1 });
    expect(counts).not.toHaveProperty("FusedGemm");
    const { int8Share } = await executedPrecision(await serializeOnnx(result.model));
    expect(int8Share).toBeCloseTo((24 * 32) / (24 * 32 + 32 * 6), 9);
  });

  it("needs no fusion in the operator form: the file itself has the integer operators", async () => {
    const { model } = await compressed(convNet(), "qoperator");
    const types = model.graph.nodes.map(({ opType }) => opType);
    expect(types).toEqual(expect.arrayContaining(["QLinearConv", "QLinearAdd", "QGemm", "MaxPool"]));
    expect(types.filter((type) => type === "QuantizeLinear" || type === "DequantizeLinear")).toEqual([
      "QuantizeLinear",
    ]);
  });

  it.each([
    ["Gemm", gemmNet()],
    ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
    ["depthwise and grouped convolutions", mobileNet()],
  ] as const)("answers nearer in the mean with corrected biases: %s", async (_name, graph) => {
    const data = samplesFor(graph, 200, 4);
    const wanted = await outputsOf(graph, data);
    const width = wanted.length / 200;
    const meanError = async (biasCorrection: boolean) => {
      const found = await outputsOf((await compressed(graph, "qoperator", biasCorrection)).model, data);
      const sums = new Float64Array(width);
      found.forEach((value, at) => (sums[at % width] += value - wanted[at]));
      return sums.reduce((total, sum) => total + (sum / 200) ** 2, 0);
    };
    expect(await meanError(true)).toBeLessThan((await meanError(false)) * 0.9);
  });

  it("cuts rare outliers off the ranges when asked for a percentile", async () => {
    const graph = gemmNet();
    const data = samplesFor(graph, 40);
    const random = seededRandom(6);
    const values = Float32Array.from({ length: 1000 * 24 }, () => random.normal());
    for (let at = 0; at < 3; at++) values[at] = 500;
    const calibration = createDataset({ name: "spiked", inputs: new Map([["x", float32Tensor([1000, 24], values)]]) });
    const wanted = await outputsOf(graph, data);
    const noise = async (range: Parameters<typeof staticInt8>[1]["range"]) => {
      const context = { calibration, threads: 1, signal: undefined, weightGrid };
      const result = await staticInt8(graph, { range, samples: 1000, form: "qdq", biasCorrection: true }, context);
      if (result.kind === "refused") throw new Error(result.reason);
      return signalToNoise(wanted, await outputsOf(result.model, data));
    };
    expect(await noise({ kind: "percentile", percentile: 99.9 })).toBeGreaterThan(
      (await noise({ kind: "minmax" })) + 15,
    );
  });

  it("folds normalizations into the convolution before, whose old name still chooses it", async () => {
    const random = seededRandom(8);
    const channels = ["g", "s", "m"].map((name) => randomTensor(name, [6], random));
    const graph = net(
      ["batch", 3, 8, 8],
      [
        node("Conv", ["x", "w"], ["c"], { kernel_shape: ints([3, 3]) }),
        node("BatchNormalization", ["c", "g", "s", "m", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "w2"], ["y"]),
      ],
      [
        randomTensor("w", [6, 3, 3, 3], random, 0.2),
        randomTensor("w2", [4, 6, 1, 1], random, 0.3),
        ...channels,
        memoryTensor("v", float32Tensor([6], Float32Array.of(1, 2, 0.5, 1, 1, 0.3))),
      ],
    );
    const data = samplesFor(graph, 30);
    const context = { calibration: samplesFor(graph, 200, 4), threads: 1, signal: undefined, weightGrid };
    const options = { range: { kind: "minmax" }, samples: 200, form: "qoperator", biasCorrection: true } as const;
    for (const [layers, convolutions] of [
      [undefined, { QLinearConv: 2 }],
      [["c"], { QLinearConv: 1 }],
    ] as const) {
      const result = await staticInt8(graph, { ...options, ...(layers === undefined ? {} : { layers }) }, context);
      if (result.kind === "refused") throw new Error(result.reason);
      const counts = await executedOperators(result.model);
      expect(counts).toMatchObject(convolutions);
      expect(counts).not.toHaveProperty("BatchNormalization");
      expect(signalToNoise(await outputsOf(graph, data), await outputsOf(result.model, data))).toBeGreaterThan(24);
    }
  });

  it("keeps a bias that would overflow int32 beside tiny weights", async () => {
    const graph = net(
      ["batch", 4],
      [node("Gemm", ["x", "w", "b"], ["y"])],
      [
        memoryTensor("w", float32Tensor([4, 2], Float32Array.of(1e-9, 1, 1e-9, 1, 1e-9, 1, 1e-9, 1))),
        memoryTensor("b", float32Tensor([2], Float32Array.of(-50, 3))),
      ],
    );
    const data = samplesFor(graph, 5);
    const wanted = await outputsOf(graph, data);
    const found = await outputsOf((await compressed(graph)).model, data);
    expect(signalToNoise(wanted, found)).toBeGreaterThan(24);
    for (let row = 0; row < 5; row++) expect(found[row * 2]).toBeCloseTo(-50, 3);
  });

  it("keeps an output that the model also gives out float", async () => {
    const random = seededRandom(1);
    const graph = net(
      ["batch", 3, 6, 6],
      [node("Conv", ["x", "w"], ["y"])],
      [randomTensor("w", [4, 3, 3, 3], random, 0.2)],
    );
    const data = samplesFor(graph, 6);
    const { model } = await compressed(graph);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(["y"]);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(model, data))).toBeGreaterThan(24);
  });

  it("refuses without calibration data, and without layers, with the reason", async () => {
    const context = { calibration: undefined, threads: 1, signal: undefined, weightGrid };
    const options = { range: { kind: "minmax" as const }, samples: 10, form: "qdq" as const, biasCorrection: true };
    expect(await staticInt8(gemmNet(), options, context)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("calibration data"),
    });
    const bare = net(["batch", 4], [node("Relu", ["x"], ["y"])], []);
    expect(await staticInt8(bare, options, { ...context, calibration: samplesFor(bare, 3) })).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("no MatMul, Gemm or Conv"),
    });
  });

  it("refuses an operator set that it cannot raise without changing what the model means", async () => {
    const random = seededRandom(1);
    const old = net(
      ["batch", 4, 5],
      [node("MatMul", ["x", "w"], ["h"]), node("Softmax", ["h"], ["y"])],
      [randomTensor("w", [5, 5], random)],
      9,
    );
    const context = { calibration: samplesFor(old, 3), threads: 1, signal: undefined, weightGrid };
    expect(
      await staticInt8(old, { range: { kind: "minmax" }, samples: 3, form: "qdq", biasCorrection: true }, context),
    ).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("Softmax"),
    });
  });
});
