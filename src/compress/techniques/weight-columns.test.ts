// Tests of int8 weights with a scale per column: near the original and a quarter of the bytes; depends on this folder.
import { describe, expect, it } from "vitest";
import { readFloats } from "../../model/tensor-data.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import {
  executedOperators,
  gemmNet,
  matMulNet,
  outputsOf,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "./test-models.ts";
import { weightOnlyColumns } from "./weight-columns.ts";

const NETS = [
  ["Gemm", gemmNet()],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
  ["Gemm at operator set 9", gemmNet({}, 9)],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
] as const;

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

  it("leaves no weights to be expanded at each run, with a Relu after the bias neither", async () => {
    const result = await weightOnlyColumns(gemmNet());
    if (result.kind === "refused") throw new Error(result.reason);
    const executed = await executedOperators(result.model);
    expect(executed).toMatchObject({ MatMulNBits: 2 });
    expect(executed).not.toHaveProperty("DequantizeLinear");
    // The bias as it was, to the last bit.
    const { initializers } = result.model.graph;
    const bias = await readFloats(gemmNet().graph.initializers.get("b1")!);
    expect((await readFloats(initializers.get("b1_n")!)).map((value) => 0 - value)).toEqual(bias);
  });
});
