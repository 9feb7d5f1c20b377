// Tests of dead inputs and units: planted ones all go, live ones stay, and the outputs are the same; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { buildMlp } from "../../runtime/architecture/mlp.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { finishTraining, train } from "../../runtime/train.ts";
import { seededRandom } from "../../statistics/index.ts";
import { transformerBlock } from "../structure/test-nets.ts";
import { deadInputs } from "./dead-inputs.ts";
import {
  convNet,
  gemmNet,
  matMulNet,
  outputsOf,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "./test-models.ts";

/** Samples in which positions of an axis hold a constant. */
function still(graph: ModelGraph, axis: number, held: ReadonlyMap<number, number>, seed = 3, count = 60): Dataset {
  const { shape, data } = samplesFor(graph, count, seed).inputs.get("x")!;
  const inner = elementCount(shape.slice(axis + 1));
  const values = (data as Float32Array).map((value, at) => held.get(Math.floor(at / inner) % shape[axis]) ?? value);
  return createDataset({ name: "still", inputs: new Map([["x", float32Tensor(shape, values)]]) });
}

const NOWHERE = { train: undefined, calibration: undefined, threads: 1, signal: undefined };

async function without(graph: ModelGraph, data: Dataset, layers?: readonly string[]) {
  const result = await deadInputs(graph, layers === undefined ? {} : { layers }, { ...NOWHERE, calibration: data });
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

const HELD = new Map(Array.from({ length: 12 }, (_, at) => [2 * at, at % 3 === 0 ? 1.5 : 0] as const));
const EDGE = new Map(Array.from({ length: 6 }, (_, at) => [at, 0] as const));

describe("deadInputs", () => {
  it.each([
    ["Gemm, every other column", gemmNet(), 1, HELD, 12, 1],
    ["Gemm with transB, alpha and beta", scaledTransposedGemmNet(), 1, HELD, 12, 0],
    ["Gemm at operator set 9", gemmNet({}, 9), 1, HELD, 12, 1],
    ["MatMul on three dimensions", matMulNet(["batch", "time", 24]), 2, HELD, 12, 1],
    ["a run of columns at the edge", gemmNet(), 1, EDGE, 18, 1],
  ] as const)("reads only what changes, with the same answers: %s", async (_name, graph, axis, held, left, output) => {
    const { model, notes } = await without(graph, still(graph, axis, held, 3, 1500));
    const weight = model.graph.initializers.get("w1")!;
    // A few random units may be dead on so few samples too: only the side of the inputs is planted.
    expect(weight.shape[weight.shape.length - 1 - output]).toBe(left);
    expect(notes.join()).toContain(`${24 - left} of 24 inputs never change`);
    const data = still(graph, axis, held, 8);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(model, data))).toBeGreaterThan(100);
    expect((await analyze(model)).macs).toBeLessThan((await analyze(graph)).macs);
    expect((await serializeOnnx(model)).length).toBeLessThan((await serializeOnnx(graph)).length);
  });

  it("takes hidden units that never fire, and those that no weight reads", async () => {
    const graph = gemmNet();
    const initializers = new Map(graph.graph.initializers);
    const change = async (name: string, value: (old: number, at: number) => number) => {
      const tensor = initializers.get(name)!;
      initializers.set(name, memoryTensor(name, float32Tensor(tensor.shape, (await readFloats(tensor)).map(value))));
    };
    await change("b1", (old, at) => (at < 5 ? -1000 : at === 6 ? 7 : Math.abs(old) / 2));
    await change("w1", (old, at) => (at % 32 === 6 ? 0 : old));
    await change("w2", (old, at) => (Math.floor(at / 6) === 9 ? 0 : old));
    const planted = { ...graph, graph: { ...graph.graph, initializers } };
    const { model } = await without(planted, samplesFor(graph, 400, 3));
    expect(model.graph.initializers.get("w1")!.shape).toEqual([24, 25]);
    const data = samplesFor(graph, 40, 8);
    expect(signalToNoise(await outputsOf(planted, data), await outputsOf(model, data))).toBeGreaterThan(100);
  });

  it("takes dead channels through sums, pools and padded convolutions", async () => {
    const graph = convNet();
    const initializers = new Map(graph.graph.initializers);
    for (const name of ["w1", "b1", "w2", "b2"]) {
      const tensor = initializers.get(name)!;
      const values = await readFloats(tensor);
      const per = values.length / tensor.shape[0];
      const silent = values.map((value, at) => (Math.floor(at / per) < 3 ? 0 : value));
      initializers.set(name, memoryTensor(name, float32Tensor(tensor.shape, silent)));
    }
    const planted = { ...graph, graph: { ...graph.graph, initializers } };
    const { model } = await without(planted, samplesFor(graph, 30, 3));
    expect(model.graph.initializers.get("w2")!.shape).toEqual([5, 5, 3, 3]);
    const data = samplesFor(graph, 10, 8);
    expect(signalToNoise(await outputsOf(planted, data), await outputsOf(model, data))).toBeGreaterThan(100);
  });

  it("drops a dead plane of an image only where padding does not tell it from zero", async () => {
    const graph = convNet();
    const zero = still(graph, 1, new Map([[1, 0]]), 3, 20);
    const { model } = await without(graph, zero);
    expect(model.graph.initializers.get("w1")!.shape[1]).toBe(2);
    expect(signalToNoise(await outputsOf(graph, zero), await outputsOf(model, zero))).toBeGreaterThan(100);
    const two = await deadInputs(graph, {}, { ...NOWHERE, calibration: still(graph, 1, new Map([[1, 2]]), 3, 20) });
    if (two.kind === "model") expect(two.model.graph.initializers.get("w1")!.shape[1]).toBe(3);
  });

  it("leaves layers it was not asked for, and models in which all is alive", async () => {
    const graph = gemmNet();
    await expect(without(graph, still(graph, 1, HELD), ["y"])).rejects.toThrow("60 samples");
    const block = transformerBlock({
      heads: 2,
      keyHeads: 2,
      headWidth: 8,
      hidden: 32,
      gated: false,
      fused: false,
      computedShapes: false,
    });
    await expect(without(block, samplesFor(block, 20))).rejects.toThrow("everything that is read");
  });

  it("makes models that can be trained on", async () => {
    const untrained = buildMlp({ layers: [24, 16, 4], seed: 5 });
    const random = seededRandom(4);
    const values = Float32Array.from({ length: 200 * 24 }, (_, at) =>
      at % 24 < 12 && at % 2 === 0 ? 0 : random.normal(),
    );
    const labels = Int32Array.from({ length: 200 }, () => random.integer(4));
    const data = createDataset({
      name: "half",
      inputs: new Map([["input", float32Tensor([200, 24], values)]]),
      labels: { dtype: "int32", shape: [200], data: labels },
    });
    const { model } = await without(untrained, data);
    const run = train(model, data, {
      loss: { kind: "cross-entropy" },
      optimizer: { kind: "adam" },
      learningRate: 1e-2,
      epochs: 2,
      batch: 32,
      seed: 1,
      threads: 1,
    });
    const { history } = await finishTraining(run);
    expect(history[1].loss).toBeLessThan(history[0].loss);
  });
});
