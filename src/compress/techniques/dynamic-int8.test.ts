// Tests of dynamic int8: near the original, really integer, right on processors that saturate; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { describeThisMachine } from "../../io/machine.ts";
import { node } from "../../model/build.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createDataset } from "../../runtime/dataset.ts";
import { seededRandom } from "../../statistics/index.ts";
import { weightGridFor } from "../weight-grid.ts";
import { dynamicInt8, type DynamicInt8Options } from "./dynamic-int8.ts";
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

const context = { weightGrid: weightGridFor(describeThisMachine()).grid };

async function compressed(graph: ReturnType<typeof gemmNet>, activations: DynamicInt8Options["activations"]) {
  const result = await dynamicInt8(graph, { activations }, context);
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

const NETS = [
  ["Gemm", gemmNet()],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
  ["Gemm at operator set 9", gemmNet({}, 9)],
  ["Gemm at operator set 21", gemmNet({}, 21)],
  ["MatMul with a bias", matMulNet(["batch", 24])],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
] as const;

describe("dynamicInt8", () => {
  it.each(NETS)("stays close to the original: %s", async (_name, graph) => {
    const data = samplesFor(graph, 40);
    const wanted = await outputsOf(graph, data);
    for (const activations of ["tensor", "token"] as const) {
      const { model } = await compressed(graph, activations);
      expect(signalToNoise(wanted, await outputsOf(model, data))).toBeGreaterThan(28);
    }
  });

  it.each(NETS)("runs in the engine's integer kernels: %s", async (_name, graph) => {
    const tensor = await executedOperators((await compressed(graph, "tensor")).model);
    expect(tensor).toMatchObject({ DynamicQuantizeMatMul: 2 });
    const token = await executedOperators((await compressed(graph, "token")).model);
    expect(token).toMatchObject({ MatMulInteger: 2 });
    for (const counts of [tensor, token]) {
      expect(counts).not.toHaveProperty("Gemm");
      expect(counts).not.toHaveProperty("MatMul");
    }
  });

  it("gives a row the same answer in any company when each row has its own range", async () => {
    const graph = gemmNet();
    const calm = samplesFor(graph, 8);
    const values = calm.inputs.get("x")!.data.slice() as Float32Array;
    values.fill(600, 7 * 24);
    const wild = createDataset({ name: "wild", inputs: new Map([["x", float32Tensor([8, 24], values)]]) });
    const wanted = (await outputsOf(graph, calm)).subarray(0, 7 * 6);
    const token = (await compressed(graph, "token")).model;
    const [alone, together] = [await outputsOf(token, calm), await outputsOf(token, wild)];
    expect(together.subarray(0, 7 * 6)).toEqual(alone.subarray(0, 7 * 6));
    const tensor = await outputsOf((await compressed(graph, "tensor")).model, wild);
    expect(signalToNoise(wanted, tensor.subarray(0, 7 * 6))).toBeLessThan(20);
    expect(signalToNoise(wanted, together.subarray(0, 7 * 6))).toBeGreaterThan(28);
  });

  it("answers a row of zeros with the bias, not with NaN", async () => {
    const graph = gemmNet();
    const zeros = createDataset({
      name: "zeros",
      inputs: new Map([["x", float32Tensor([1, 24], new Float32Array(24))]]),
    });
    const wanted = await outputsOf(graph, zeros);
    const found = await outputsOf((await compressed(graph, "token")).model, zeros);
    expect(signalToNoise(wanted, found)).toBeGreaterThan(28);
  });

  it("does not overflow where neighbouring products are all as large as they can be", async () => {
    const full = Float32Array.from({ length: 64 * 4 }, () => 1);
    const graph = net(
      ["batch", 64],
      [node("MatMul", ["x", "w"], ["y"])],
      [memoryTensor("w", float32Tensor([64, 4], full))],
    );
    const ones = new Float32Array(64).fill(1);
    const data = createDataset({ name: "ones", inputs: new Map([["x", float32Tensor([1, 64], ones)]]) });
    // 64 products of 1·1; saturated pairs of 8-bit products would give about 32.
    for (const value of await outputsOf((await compressed(graph, "tensor")).model, data)) {
      expect(value).toBeCloseTo(64, 0);
    }
  });

  it("answers nearer in the mean with corrected biases, and refuses to correct without data", async () => {
    const graph = scaledTransposedGemmNet();
    const data = samplesFor(graph, 300, 4);
    const wanted = await outputsOf(graph, data);
    const width = wanted.length / 300;
    const meanError = async (biasCorrection: boolean) => {
      const options = { activations: "token", biasCorrection } as const;
      const result = await dynamicInt8(graph, options, { ...context, calibration: data, threads: 1 });
      if (result.kind === "refused") throw new Error(result.reason);
      const sums = new Float64Array(width);
      (await outputsOf(result.model, data)).forEach((value, at) => (sums[at % width] += value - wanted[at]));
      return sums.reduce((total, sum) => total + (sum / 300) ** 2, 0);
    };
    expect(await meanError(true)).toBeLessThan((await meanError(false)) * 0.9);
    expect(await dynamicInt8(graph, { activations: "token", biasCorrection: true }, context)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("calibration data"),
    });
  });

  it("leaves convolutions float and says so", async () => {
    const { model, notes } = await compressed(convNet(), "tensor");
    expect(model.graph.nodes.filter(({ opType }) => opType === "Conv")).toHaveLength(2);
    expect(notes.join()).toMatch(/2 convolutions stay float/);
  });

  it("refuses a model without constant weights, with the reason", async () => {
    const random = seededRandom(1);
    const product = net(["batch", 4], [node("Mul", ["x", "w"], ["y"])], [randomTensor("w", [4], random)]);
    expect(await dynamicInt8(product, { activations: "tensor" }, context)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("no MatMul or Gemm"),
    });
  });
});
