// Tests of two models run side by side: differences in numbers whatever the type, the batch that ran; depends on model and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { int } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import { DTYPES, type DType } from "../model/dtype.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { compareModels } from "./compare-models.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-compare-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** y = (x · factor) as `dtype`, `[batch, 8]`. */
async function scaled(name: string, factor: number, dtype: DType, batch: number | string = "N"): Promise<string> {
  const path = join(folder, name);
  const graph = model({
    nodes: [node("Mul", ["x", "f"], ["p"]), node("Cast", ["p"], ["y"], { to: int(DTYPES[dtype].code) })],
    inputs: [tensorInfo("x", "float32", [batch, 8])],
    outputs: [tensorInfo("y", dtype, [batch, 8])],
    initializers: [memoryTensor("f", float32Tensor([1], Float32Array.of(factor)))],
  });
  await writeOnnx(graph, path);
  return path;
}

const quick = { pairs: 10, maxSeconds: 0, threads: 1 };

describe("compareModels", () => {
  it.each(["float32", "float16"] as const)("gives the difference of %s outputs in their own unit", async (dtype) => {
    const one = await scaled("one.onnx", 1, dtype);
    const { outputs } = await compareModels(one, await scaled("more.onnx", 1.5, dtype), { ...quick, batch: 4 });
    // Inputs are below 1, so half of them is below 0.5 and, of 32, hardly all below 0.2.
    expect(outputs[0].identical).toBe(false);
    expect(outputs[0].relativeDifference).toBeCloseTo(0.5, 2);
    expect(outputs[0].largestDifference).toBeGreaterThan(0.2);
    expect(outputs[0].largestDifference).toBeLessThan(0.501);
  });

  it("calls outputs identical only when their bits are", async () => {
    const zero = await scaled("zero.onnx", 0, "float32");
    const minus = await scaled("minus.onnx", -0, "float32");
    const { outputs } = await compareModels(zero, minus, quick);
    expect(outputs[0]).toEqual({ name: "y", identical: false, largestDifference: 0, relativeDifference: null });
    expect((await compareModels(zero, zero, quick)).outputs[0].identical).toBe(true);
  });

  it("takes equal infinities for equal", async () => {
    const infinite = await scaled("infinite.onnx", Infinity, "float32");
    const { outputs } = await compareModels(infinite, infinite, quick);
    expect(outputs[0]).toMatchObject({ identical: true, largestDifference: 0 });
  });

  it("runs a model in the batch it fixes, and says which", async () => {
    const fixed = await scaled("fixed.onnx", 2, "float32", 3);
    expect((await compareModels(fixed, fixed, quick)).batch).toBe(3);
  });
});
