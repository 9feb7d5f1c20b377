// Tests of low-rank factors: exact where the rank is planted, better than the plain decomposition where it is not; depends on this
// folder and runtime.
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { seededRandom, symmetricEigen, type Random } from "../../statistics/index.ts";
import { NetBuilder } from "../structure/test-nets.ts";
import { lowRank } from "./low-rank.ts";
import { contextWith, net, outputsOf, randomTensor, samplesFor, signalToNoise } from "./test-models.ts";

const context = (calibration: Dataset | undefined) => contextWith({ calibration });

async function factored(graph: ModelGraph, energy: number, data: Dataset) {
  const result = await lowRank(graph, { energy }, context(data));
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

/** A matrix of that rank. */
function ofRank(name: string, [rows, columns]: readonly [number, number], rank: number, random: Random) {
  const left = Array.from({ length: rows * rank }, () => random.normal());
  const right = Array.from({ length: rank * columns }, () => random.normal());
  const data = Float32Array.from({ length: rows * columns }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < rank; k++)
      sum += left[Math.floor(at / columns) * rank + k] * right[k * columns + (at % columns)];
    return sum / rank;
  });
  return memoryTensor(name, float32Tensor([rows, columns], data));
}

const PLANTED: readonly (readonly [string, (random: Random) => ModelGraph])[] = [
  [
    "Gemm with transB, fewer outputs than inputs",
    (random) =>
      net(
        ["batch", 40],
        [node("Gemm", ["x", "w", "b"], ["y"], { transB: int(1) })],
        [ofRank("w", [30, 40], 3, random), randomTensor("b", [30], random)],
      ),
  ],
  [
    "Gemm with more outputs than inputs",
    (random) =>
      net(
        ["batch", 24],
        [node("Gemm", ["x", "w", "b"], ["y"])],
        [ofRank("w", [24, 60], 4, random), randomTensor("b", [60], random)],
      ),
  ],
  [
    "MatMul and Add on three dimensions",
    (random) =>
      net(
        ["batch", "time", 32],
        [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["y"])],
        [ofRank("w", [32, 32], 5, random), randomTensor("b", [32], random)],
      ),
  ],
  [
    "MatMul without a bias",
    (random) => net(["batch", 32], [node("MatMul", ["x", "w"], ["y"])], [ofRank("w", [32, 48], 5, random)]),
  ],
  [
    "a convolution",
    (random) => {
      const b = new NetBuilder(3);
      b.tensors.push({ ...ofRank("w", [16, 8 * 9], 3, random), shape: [16, 8, 3, 3] });
      return b.done(b.op("Conv", ["x", "w"]), ["batch", 8, 9, 9]);
    },
  ],
];

describe("lowRank", () => {
  it.each(PLANTED)("is exact where the rank is planted, with fewer multiply-adds: %s", async (_name, make) => {
    const graph = make(seededRandom(6));
    const { model, notes } = await factored(graph, 0.999_999_9, samplesFor(graph, 200, 3));
    const data = samplesFor(graph, 30, 8);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(model, data))).toBeGreaterThan(60);
    const [before, after] = [await analyze(graph), await analyze(model)];
    expect(after.macs).toBeLessThan(before.macs);
    expect(after.parameters).toBeLessThan(before.parameters);
    expect(notes.join()).toMatch(/rank [345] of/);
  });

  it("is nearer at the same rank than the decomposition of the weights alone", async () => {
    const random = seededRandom(2);
    const weight = randomTensor("w", [32, 24], random);
    const graph = net(["batch", 32], [node("MatMul", ["x", "w"], ["y"])], [weight]);
    // Inputs that mostly move along a few columns.
    const scaled = (seed: number) => {
      const from = samplesFor(graph, 300, seed).inputs.get("x")!;
      const data = (from.data as Float32Array).map((value, at) => value * (at % 32 < 6 ? 4 : 0.4));
      return createDataset({ name: "uneven", inputs: new Map([["x", float32Tensor(from.shape, data)]]) });
    };
    const { model } = await factored(graph, 0.9, scaled(3));
    const rank = model.graph.initializers.get("w_left")!.shape[1];
    const data = scaled(8);
    const wanted = await outputsOf(graph, data);
    const ours = signalToNoise(wanted, await outputsOf(model, data));
    // W·V·Vᵀ with V from Wᵀ·W: the plain singular value decomposition.
    const w = await readFloats(weight);
    const gram = Float64Array.from({ length: 24 * 24 }, (_, at) => {
      let sum = 0;
      for (let row = 0; row < 32; row++) sum += w[row * 24 + Math.floor(at / 24)] * w[row * 24 + (at % 24)];
      return sum;
    });
    const { vectors } = symmetricEigen(gram, 24);
    const plain = wanted.map((_, at) => {
      const [row, column] = [Math.floor(at / 24), at % 24];
      let sum = 0;
      for (let k = 0; k < rank; k++) {
        for (let j = 0; j < 24; j++) sum += wanted[row * 24 + j] * vectors[k * 24 + j] * vectors[k * 24 + column];
      }
      return sum;
    });
    expect(ours).toBeGreaterThan(signalToNoise(wanted, plain) + 3);
    expect(ours).toBeGreaterThan(10 * Math.log10(1 / 0.1) - 1);
  });

  it("leaves what it cannot make smaller, and says so", async () => {
    const random = seededRandom(2);
    const graph = net(["batch", 12], [node("MatMul", ["x", "w"], ["y"])], [randomTensor("w", [12, 12], random)]);
    const result = await lowRank(graph, { energy: 0.99 }, context(samplesFor(graph, 100)));
    expect(result).toMatchObject({ kind: "refused", reason: expect.stringContaining("99 %") as string });
    expect(await lowRank(graph, { energy: 0.99 }, context(undefined))).toMatchObject({ kind: "refused" });
  });
});
