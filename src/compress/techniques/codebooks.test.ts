// Tests of codebooks: ONNX Runtime computes with the weights that indices and codebook give by hand, the file shrinks, retraining moves
// the codebook alone; depends on this folder, cost and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { serializeOnnx, writeOnnx } from "../../model/onnx/write.ts";
import { unpackSubByte } from "../../model/sub-byte.ts";
import { memoryTensor, readFloats, readTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import { codeStoredWeight, lazyCodebook } from "../quantize/stored-codebook.ts";
import { Turnstile } from "../quantize/lazy-parts.ts";
import { TECHNIQUES } from "./registry.ts";
import type { OptionValue, TechniqueContext } from "./technique.ts";
import {
  contextWith,
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

let folder: string;
let context: TechniqueContext;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-codebooks-"));
  context = contextWith({ seed: 3, retrain: { epochs: 6, batch: 32, learningRate: 0.003 } });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let written = 0;
async function coded(model: ModelGraph, options: Record<string, OptionValue>, where = context): Promise<ModelGraph> {
  const result = await TECHNIQUES["codebooks"](model, options, where);
  if (result.kind === "refused") throw new Error(result.reason);
  const path = join(folder, `${++written}.onnx`);
  await writeOnnx(result.model, path);
  return readOnnx(path);
}

/** Every coded weight, put together here from what the file holds. */
async function decoded(model: ModelGraph, original: ModelGraph): Promise<ModelGraph> {
  const initializers = new Map(original.graph.initializers);
  for (const [name, weight] of original.graph.initializers) {
    const stored = model.graph.initializers.get(`${name}_indices`);
    if (stored === undefined) {
      initializers.set(name, model.graph.initializers.get(name)!);
      continue;
    }
    const book = model.graph.initializers.get(`${name}_codebook`)!;
    const [, length] = book.shape;
    const vectors = await readFloats(book);
    const { data } = await readTensor(stored);
    const count = elementCount(stored.shape);
    const indices = stored.dtype === "uint4" ? unpackSubByte("uint4", data as Uint8Array, count) : data;
    const [outputs, places] = stored.shape;
    const values = new Float32Array(elementCount(weight.shape));
    for (let output = 0; output < outputs; output++) {
      for (let input = 0; input < places * length; input++) {
        const index = Number(indices[output * places + Math.floor(input / length)]);
        const outputsComeFirst = weight.shape[0] === outputs && (weight.shape.length > 2 || name.endsWith("T"));
        const at = outputsComeFirst ? output * places * length + input : input * outputs + output;
        values[at] = vectors[index * length + (input % length)];
      }
    }
    initializers.set(name, memoryTensor(name, float32Tensor(weight.shape, values)));
  }
  return { ...original, graph: { ...original.graph, initializers } };
}

/** `y = Gemm(x, wTᵀ)·2` and a bias that counts half: 32 inputs, 48 outputs. */
function transposedNet(): ModelGraph {
  const random = seededRandom(6);
  return net(
    ["batch", 32],
    [
      node("Gemm", ["x", "wT", "b"], ["y"], {
        transB: int(1),
        alpha: { type: "float", value: 2 },
        beta: { type: "float", value: 0.5 },
      }),
    ],
    [randomTensor("wT", [48, 32], random, 0.2), randomTensor("b", [48], random)],
  );
}

const MODELS = {
  gemm: gemmNet(),
  transposed: transposedNet(),
  conv: convNet(),
  "three dimensions": matMulNet(["batch", 3, 24]),
};

describe.each(Object.entries(MODELS))("%s", (_name, original) => {
  it.each([
    [1, 16],
    [2, 256],
    [4, 64],
  ])("of vectors of %i from %i entries computes what its parts say, and folds", async (vectorLength, entries) => {
    const calibration = samplesFor(original, 32);
    const model = await coded(original, { vectorLength, entries }, { ...context, calibration });
    const byHand = await decoded(model, original);
    const data = samplesFor(original, 8, 12);
    expect(signalToNoise(await outputsOf(byHand, data), await outputsOf(model, data))).toBeGreaterThan(100);
    const operators = await executedOperators(model);
    for (const opType of ["Cast", "Gather", "Transpose"]) expect(operators[opType]).toBeUndefined();
    const [before, after] = [await analyze(original), await analyze(model)];
    expect([after.parameters, after.macs]).toEqual([before.parameters, before.macs]);
    expect((await executedPrecision(await serializeOnnx(model))).floatShare).toBe(1);
  });
});

test("longer vectors make smaller files of less exact weights", async () => {
  const random = seededRandom(5);
  const original = net(
    ["batch", 256],
    [node("MatMul", ["x", "w"], ["y"])],
    [randomTensor("w", [256, 128], random, 0.1)],
    21,
  );
  const data = samplesFor(original, 256);
  const wanted = await outputsOf(original, data);
  const sizes: number[] = [];
  const noises: number[] = [];
  for (const [vectorLength, entries] of [
    [1, 256],
    [1, 16],
    [2, 16],
    [8, 256],
  ]) {
    const model = await coded(original, { vectorLength, entries });
    sizes.push((await serializeOnnx(model)).byteLength);
    noises.push(signalToNoise(wanted, await outputsOf(model, data)));
  }
  const weights = 256 * 128;
  // Indices (16 entries: half a byte), the codebook, and what operators and names take.
  const expected = [weights + 1024, weights / 2 + 64, weights / 4 + 128, weights / 8 + 8192];
  sizes.forEach((size, at) => {
    expect(size).toBeGreaterThan(expected[at]);
    expect(size).toBeLessThan(expected[at] + 600);
  });
  // Rates of 8, 4, 2 and 1 bits a normal number; the bound on any code is 6.02 dB a bit.
  expect(noises[0]).toBeGreaterThan(40);
  expect(noises[1]).toBeGreaterThan(19.5); // Lloyd-Max with 16 levels: 20.2 dB
  expect(noises[2]).toBeGreaterThan(9.3); // scalar codes of 2 bits: 9.3 dB
  expect(noises[2]).toBeLessThan(12.1);
  expect(noises[3]).toBeGreaterThan(4.4); // scalar codes of 1 bit: 4.4 dB
});

/** Inputs of very different size and a mean, so that importance and bias have something to do. */
function skewed(count: number, width: number, seed: number): Dataset {
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: count * width }, (_, at) => {
    return (at % width < 4 ? 8 : 0.2) * (random.normal() + 0.7);
  });
  return createDataset({ name: "skewed", inputs: new Map([["x", float32Tensor([count, width], data)]]) });
}

test("calibration puts accuracy where inputs are large, and the bias takes up the mean error", async () => {
  const original = gemmNet();
  const data = skewed(64, 24, 20);
  const wanted = await outputsOf(original, data);
  for (const vectorLength of [1, 4]) {
    const blind = await outputsOf(await coded(original, { vectorLength, entries: 16 }), data);
    const seen = { ...context, calibration: skewed(256, 24, 21) };
    const model = await coded(original, { vectorLength, entries: 16 }, seen);
    expect(signalToNoise(wanted, await outputsOf(model, data))).toBeGreaterThan(signalToNoise(wanted, blind) + 2);
    expect(await readFloats(model.graph.initializers.get("b1")!)).not.toEqual(
      await readFloats(original.graph.initializers.get("b1")!),
    );
  }
  // One layer alone: on the calibration data itself the mean of each output stays.
  const single = transposedNet();
  const calibration = skewed(128, 32, 22);
  const model = await coded(single, { vectorLength: 4, entries: 32 }, { ...context, calibration });
  const [before, after] = [await outputsOf(single, calibration), await outputsOf(model, calibration)];
  for (let output = 0; output < 48; output++) {
    let lost = 0;
    for (let row = 0; row < 128; row++) lost += (before[row * 48 + output] - after[row * 48 + output]) / 128;
    expect(Math.abs(lost)).toBeLessThan(1e-3);
  }
});

test("fine-tuning moves codebooks, keeps indices and zeros, and comes nearer to the original", async () => {
  const original = gemmNet();
  const path = join(folder, "original.onnx");
  await writeOnnx(original, path);
  const teaching = {
    ...context,
    original: path,
    train: samplesFor(original, 512, 31),
    retrain: { epochs: 12, batch: 32, learningRate: 0.003 },
  };
  const pruned = await TECHNIQUES["prune"](
    original,
    { sparsity: 0.4, criterion: "magnitude", scope: "layer", pattern: "any" },
    context,
  );
  if (pruned.kind === "refused") throw new Error(pruned.reason);
  for (const [start, options] of [
    [original, { vectorLength: 4, entries: 32 }],
    [pruned.model, { vectorLength: 1, entries: 16 }],
  ] as const) {
    const stored = await coded(start, options);
    const tuned = await TECHNIQUES["fine-tune"](stored, {}, teaching);
    if (tuned.kind === "refused") throw new Error(tuned.reason);
    const initializers = tuned.model.graph.initializers;
    for (const name of ["w1_indices", "w2_indices"]) {
      expect(await readTensor(initializers.get(name)!)).toEqual(await readTensor(stored.graph.initializers.get(name)!));
    }
    const zerosOf = async (model: ModelGraph) =>
      [...(await readFloats(model.graph.initializers.get("w1_codebook")!))].map((value) => Object.is(value, 0));
    expect(await zerosOf(tuned.model)).toEqual(await zerosOf(stored));
    expect((await zerosOf(stored)).filter(Boolean).length).toBe(start === original ? 0 : 1);
    expect(tuned.model.graph.initializers.has("w1")).toBe(false);
    const data = samplesFor(original, 64, 32);
    const wanted = await outputsOf(original, data);
    const gain =
      signalToNoise(wanted, await outputsOf(tuned.model, data)) - signalToNoise(wanted, await outputsOf(stored, data));
    expect(gain).toBeGreaterThan(0.5);
  }
});

test("the same seed gives the same bytes; a worker gives what this thread gives", async () => {
  const options = { vectorLength: 4, entries: 64 };
  const [one, two] = [await coded(convNet(), options), await coded(convNet(), options)];
  expect(Buffer.from(await serializeOnnx(one)).equals(Buffer.from(await serializeOnnx(two)))).toBe(true);
  const path = join(folder, "stored.onnx");
  await writeOnnx(scaledTransposedGemmNet(), path);
  const weight = (await readOnnx(path)).graph.initializers.get("w1")!;
  const task = { weight, inputsFirst: false, length: 4, entries: 16, seed: 1 };
  const pool = createThreadPool(1);
  try {
    const lazy = lazyCodebook(task, 2, { runner: pool, turnstile: new Turnstile(1), keep: false });
    const there = await lazy.take("codebook");
    expect(there).toEqual(await codeStoredWeight(task));
    expect(await lazy.take("indices")).toBe(there);
  } finally {
    await pool.close();
  }
});

test("a model without layers worth a codebook is refused with the reason", async () => {
  const tiny = net(["n", 3], [node("MatMul", ["x", "w"], ["y"])], [randomTensor("w", [3, 4], seededRandom(1))]);
  expect(await TECHNIQUES["codebooks"](tiny, { vectorLength: 2, entries: 256 }, context)).toMatchObject({
    kind: "refused",
    reason: expect.stringContaining("large enough"),
  });
  expect(() => TECHNIQUES["codebooks"](tiny, { vectorLength: 3, entries: 256 }, context)).toThrow("vectorLength is 3");
  expect(() => TECHNIQUES["codebooks"](tiny, { vectorLength: 2, entries: 2.5 }, context)).toThrow("whole number");
});
