// Tests of the batch sizes that are timed when nobody named any; depends on the file beside it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ints } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { createDataset } from "../runtime/dataset.ts";
import { timedBatches } from "./timed-batches.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-batches-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const samples = createDataset({
  name: "samples",
  inputs: new Map([["x", float32Tensor([16, 3], new Float32Array(48))]]),
  unnamed: true,
});

async function batchesFor(shape: readonly (number | string)[]) {
  const path = join(folder, `${shape.join("x")}.onnx`);
  const inputs = [tensorInfo("x", "float32", [...shape])];
  const outputs = [tensorInfo("y", "float32", undefined)];
  await writeOnnx(model({ nodes: [node("Relu", ["x"], ["y"])], inputs, outputs, initializers: [] }), path);
  return timedBatches(path, samples, undefined);
}

it("times one and many where the model leaves the choice", async () => {
  expect(await batchesFor(["batch", 3])).toEqual({ batches: [1, 32], assumptions: [] });
});

it("times one sample alone where 32 take long, says so, and leaves named sizes as they are", async () => {
  const path = join(folder, "large.onnx");
  const side = 1024;
  // 822 million multiply-adds from 784 weights.
  const weight = memoryTensor("w", float32Tensor([16, 1, 7, 7], new Float32Array(784)));
  const graph = {
    nodes: [node("Conv", ["x", "w"], ["y"], { pads: ints([3, 3, 3, 3]) })],
    inputs: [tensorInfo("x", "float32", ["batch", 1, side, side])],
    outputs: [tensorInfo("y", "float32", undefined)],
    initializers: [weight],
  };
  await writeOnnx(model(graph), path);
  const image = float32Tensor([1, 1, side, side], new Float32Array(side * side));
  const images = createDataset({ name: "images", inputs: new Map([["x", image]]) });
  const { batches, assumptions } = await timedBatches(path, images, undefined);
  expect(batches).toEqual([1]);
  expect(assumptions).toMatchObject([{ key: "compress.one-batch", text: expect.stringContaining("822") }]);
  expect(await timedBatches(path, images, [1, 32])).toEqual({ batches: [1, 32], assumptions: [] });
});

it.each([
  [[8, 3], 8, "8 samples a run"],
  [[1, 3], 1, "1 sample a run"],
  // No batch axis at all.
  [[3], 1, "1 sample a run"],
] as const)("times what a model of input %j fixes, and says so", async (shape, batch, text) => {
  const { batches, assumptions } = await batchesFor(shape);
  expect(batches).toEqual([batch]);
  expect(assumptions).toMatchObject([{ key: "compress.fixed-batch", text: expect.stringContaining(text) }]);
});

it("refuses samples that do not fit", async () => {
  await expect(batchesFor([8, 4])).rejects.toMatchObject({ code: "E_DATA" });
});
