// Techniques that retrain: what must be exact stays exact, in the file that is written; depends on the room, model, runtime and vitest.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { serializeOnnx, writeOnnx } from "../../model/onnx/write.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { buildMlp } from "../../runtime/architecture/mlp.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { openSession } from "../../runtime/session.ts";
import { finishTraining, train } from "../../runtime/train.ts";

import { seededRandom } from "../../statistics/index.ts";
import { exposing } from "../../runtime/segments/segment-model.ts";
import { toLatentForm } from "../quantize/latent-form.ts";
import { TECHNIQUES } from "./registry.ts";
import type { OptionValue, TechniqueContext } from "./technique.ts";
import { contextWith, convNet, gemmNet, outputsOf, samplesFor, signalToNoise } from "./test-models.ts";

/** Classes by a fixed random projection, so that there is something to learn and to lose. */
function projected(shape: readonly number[], input: string, classes: number, count: number, seed: number): Dataset {
  const width = elementCount(shape);
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: count * width }, () => random.normal());
  const truth = seededRandom(77);
  const projection = Float32Array.from({ length: classes * width }, () => truth.normal());
  const labels = Int32Array.from({ length: count }, (_, row) => {
    const scores = Array.from({ length: classes }, (_none, c) => {
      let sum = 0;
      for (let at = 0; at < width; at++) sum += data[row * width + at] * projection[c * width + at];
      return sum;
    });
    return scores.indexOf(Math.max(...scores));
  });
  return createDataset({
    name: "projected",
    inputs: new Map([[input, float32Tensor([count, ...shape], data)]]),
    labels: { dtype: "int32", shape: [count], data: labels },
  });
}

let folder: string;
let written = 0;
let teacher: ModelGraph;
let context: TechniqueContext;
const samples = projected([16], "input", 4, 512, 5);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-retrain-"));
  const options = {
    optimizer: { kind: "adam" },
    learningRate: 0.01,
    epochs: 12,
    batch: 32,
    seed: 1,
    threads: 1,
  } as const;
  const loss = { kind: "cross-entropy" } as const;
  teacher = (await finishTraining(train(buildMlp({ layers: [16, 24, 4], seed: 2 }), samples, { ...options, loss })))
    .model;
  const original = join(folder, "original.onnx");
  await writeOnnx(teacher, original);
  context = contextWith({
    calibration: samples,
    train: samples,
    original,
    seed: 3,
    retrain: { epochs: 8, batch: 32, learningRate: 0.01 },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function apply(
  technique: string,
  model: ModelGraph,
  options: Record<string, OptionValue>,
  where = context,
): Promise<ModelGraph> {
  const result = await TECHNIQUES[technique](model, options, where);
  if (result.kind === "refused") throw new Error(result.reason);
  // Through the bytes of the file: what counts is what is written.
  const path = join(folder, `written-${++written}.onnx`);
  await writeOnnx(result.model, path);
  return readOnnx(path);
}

const weightOf = (model: ModelGraph, name: string): Promise<Float32Array> =>
  readFloats(model.graph.initializers.get(name)!);
const zerosIn = (values: Float32Array): number => values.filter((value) => Object.is(value, 0)).length;

/** Mean −log of the probability that the written model gives the label. */
async function crossEntropy(model: ModelGraph): Promise<number> {
  const session = await openSession(await serializeOnnx(model), { threads: 1 });
  const { probabilities } = await session.run({ input: samples.inputs.get("input")! });
  await session.close();
  const labels = samples.labels!.data as Int32Array;
  const loss = (label: number, row: number): number => -Math.log(Number(probabilities.data[row * 4 + label]) + 1e-9);
  return labels.reduce((sum, label, row) => sum + loss(label, row) / labels.length, 0);
}

const WEIGHTS = ["layer1.weight", "layer2.weight"];
const PRUNE = { sparsity: 0.8, scope: "global", pattern: "any" } as const;

test.each(["magnitude", "second-order"] as const)(
  "pruning by %s ends at exactly the sparsity asked for",
  async (criterion) => {
    const pruned = await apply("prune", teacher, { ...PRUNE, criterion });
    const zeros = await Promise.all(WEIGHTS.map(async (name) => zerosIn(await weightOf(pruned, name))));
    expect(zeros[0] + zeros[1]).toBe(16 * 24 + 24 * 4 - Math.round((16 * 24 + 24 * 4) * 0.2));
    // Healed: better than the same sparsity cut at once.
    const atOnce = await apply("prune", teacher, { ...PRUNE, criterion: "magnitude", epochs: 0 });
    expect(await crossEntropy(pruned)).toBeLessThan(await crossEntropy(atOnce));
  },
);

test("per layer, each layer has the share; the same seed gives the same bytes", async () => {
  const options = { ...PRUNE, criterion: "magnitude", scope: "layer", epochs: 3 };
  const [one, two] = [await apply("prune", teacher, options), await apply("prune", teacher, options)];
  expect(zerosIn(await weightOf(one, "layer1.weight"))).toBe(384 - Math.round(384 * 0.2));
  expect(zerosIn(await weightOf(one, "layer2.weight"))).toBe(96 - Math.round(96 * 0.2));
  expect(Buffer.from(await serializeOnnx(one)).equals(Buffer.from(await serializeOnnx(two)))).toBe(true);
});

test("2:4 leaves two of every four inputs of each output, in products and convolutions", async () => {
  const pruned = await apply("prune", teacher, { ...PRUNE, criterion: "magnitude", pattern: "2:4", epochs: 2 });
  const weight = await weightOf(pruned, "layer1.weight"); // [16, 24]
  for (let column = 0; column < 24; column++) {
    for (let group = 0; group < 16; group += 4) {
      const four = Float32Array.from({ length: 4 }, (_, at) => weight[(group + at) * 24 + column]);
      expect(zerosIn(four)).toBe(2);
    }
  }
  const withoutData = { ...context, train: undefined };
  const conv = await apply("prune", convNet(), { ...PRUNE, criterion: "magnitude", pattern: "2:4" }, withoutData);
  const kernels = await weightOf(conv, "w2"); // [8, 8, 3, 3]
  for (let filter = 0; filter < 8; filter++) {
    for (let tap = 0; tap < 9; tap++) {
      for (const group of [0, 4]) {
        const four = Float32Array.from({ length: 4 }, (_, at) => kernels[(filter * 8 + group + at) * 9 + tap]);
        expect(zerosIn(four)).toBe(2);
      }
    }
  }
});

test("shared weights have as many values as asked for, their zeros included, and fine-tuning keeps both", async () => {
  const pruned = await apply("prune", teacher, { ...PRUNE, criterion: "second-order" });
  const shared = await apply("share-weights", pruned, { values: 6 });
  const tuned = await apply("fine-tune", shared, { learningRate: 0.003 });
  const rounded = await apply("share-weights", pruned, { values: 6, epochs: 0 });
  const withBiases = await apply("share-weights", pruned, { values: 6, biasValues: 5, epochs: 2 });
  expect(new Set(await weightOf(withBiases, "layer1.bias")).size).toBe(5);
  expect(new Set(await weightOf(withBiases, "layer2.bias")).size).toBe(4); // too short to share
  for (const [precision, unit] of [
    ["bfloat16", 2 ** 16],
    ["float16", 2 ** 13],
  ] as const) {
    const short = await apply("share-weights", pruned, { values: 6, biasValues: 5, precision, epochs: 2 });
    for (const name of [...WEIGHTS, "layer1.bias", "layer2.bias"]) {
      const [values, wanted] = [await weightOf(short, name), await weightOf(withBiases, name)];
      for (const bits of new Uint32Array(values.slice().buffer)) expect(bits % unit).toBe(0);
      expect(new Set(values).size).toBe(new Set(wanted).size);
      values.forEach((value, at) =>
        expect(Math.abs(value - wanted[at])).toBeLessThan(Math.abs(wanted[at]) / 250 + 1e-6),
      );
    }
  }
  for (const name of WEIGHTS) {
    const before = await weightOf(pruned, name);
    for (const made of [shared, tuned]) {
      const after = await weightOf(made, name);
      expect(new Set(after).size).toBe(6);
      expect([...after].map((value) => Object.is(value, 0))).toEqual([...before].map((value) => value === 0));
    }
  }
  expect(await crossEntropy(shared)).toBeLessThan(await crossEntropy(rounded));
  expect(await weightOf(tuned, "layer1.weight")).not.toEqual(await weightOf(shared, "layer1.weight"));
});

test("layers shared one after another keep what they share, and the others' zeros", async () => {
  const pruned = await apply("prune", teacher, { ...PRUNE, criterion: "second-order" });
  const layers = pruned.graph.nodes.filter(({ opType }) => opType === "Gemm").map(({ outputs }) => outputs[0]);
  const precision = "bfloat16";
  const first = await apply("share-weights", pruned, { values: 5, layers: [layers[0]], precision });
  const second = await apply("share-weights", first, { values: 7, layers: [layers[1]], precision });
  const counts = async (model: ModelGraph) =>
    Promise.all(WEIGHTS.map(async (name) => new Set(await weightOf(model, name)).size));
  expect((await counts(first))[0]).toBe(5);
  expect((await counts(first))[1]).toBeGreaterThan(7);
  expect(await counts(second)).toEqual([5, 7]);
  expect(await weightOf(second, WEIGHTS[0])).not.toEqual(await weightOf(first, WEIGHTS[0]));
  for (const name of WEIGHTS) {
    const values = await weightOf(second, name);
    expect([...values].map((value) => value === 0)).toEqual(
      [...(await weightOf(pruned, name))].map((value) => value === 0),
    );
    for (const bits of new Uint32Array(values.slice().buffer)) expect(bits % 2 ** 16).toBe(0);
  }
});

test("tuning the small tensors moves biases and leaves every weight as it was", async () => {
  const pruned = await apply("prune", teacher, { ...PRUNE, criterion: "magnitude", epochs: 0 });
  const tuned = await apply("tune-small", pruned, {});
  for (const name of WEIGHTS) expect(await weightOf(tuned, name)).toEqual(await weightOf(pruned, name));
  expect(await weightOf(tuned, "layer1.bias")).not.toEqual(await weightOf(pruned, "layer1.bias"));
  expect(await crossEntropy(tuned)).toBeLessThan(await crossEntropy(pruned));
});

test("scales of weights stored as integers are tuned too", async () => {
  const stored = await apply("weight-int8", teacher, {});
  const scales = stored.graph.nodes.find(({ opType }) => opType === "DequantizeLinear")!.inputs[1];
  const tuned = await apply("tune-small", stored, {});
  expect(await weightOf(tuned, scales)).not.toEqual(await weightOf(stored, scales));
});

test("fine-tuning recovers a model that lost its answers", async () => {
  const damaged = await apply("prune", teacher, { ...PRUNE, sparsity: 0.6, criterion: "magnitude", epochs: 0 });
  const tuned = await apply("fine-tune", damaged, {});
  expect(await crossEntropy(tuned)).toBeLessThan(0.7 * (await crossEntropy(damaged)));
  expect(zerosIn(await weightOf(tuned, "layer1.weight"))).toBe(zerosIn(await weightOf(damaged, "layer1.weight")));
});

/** The hidden layer of the written model after its Relu, `[512, units]`. */
async function hiddenOf(model: ModelGraph): Promise<Float32Array> {
  const { outputs } = model.graph.nodes.find(({ opType }) => opType === "Relu")!;
  const session = await openSession(await serializeOnnx(exposing(model, outputs)), { threads: 1 });
  const results = await session.run({ input: samples.inputs.get("input")! }, [outputs[0]]);
  await session.close();
  return results[outputs[0]].data as Float32Array;
}

test("with a weight on features, the units that narrowing left go on saying what they said in the original", async () => {
  const cut = await apply("narrow", teacher, { ratio: 0.5, retrain: false });
  // Cutting leaves the columns of the first layer as they were, so that they tell which units stayed.
  const [before, after] = [await weightOf(teacher, "layer1.weight"), await weightOf(cut, "layer1.weight")];
  const column = (values: Float32Array, at: number) => values.filter((_, i) => i % (values.length / 16) === at).join();
  const kept = Array.from({ length: 12 }, (_, at) =>
    Array.from({ length: 24 }, (_none, u) => u).find((u) => column(before, u) === column(after, at))!,
  );
  expect(new Set(kept).size).toBe(12);
  const wanted = await hiddenOf(teacher);
  const distance = async (model: ModelGraph): Promise<number> => {
    const found = await hiddenOf(model);
    return found.reduce((sum, value, at) => sum + (value - wanted[Math.floor(at / 12) * 24 + kept[at % 12]]) ** 2, 0);
  };
  const free = await apply("narrow", teacher, { ratio: 0.5 });
  const held = await apply("narrow", teacher, { ratio: 0.5, featureWeight: 5 });
  expect(await distance(held)).toBeLessThan(0.3 * (await distance(free)));
  expect(await crossEntropy(held)).toBeLessThan(await crossEntropy(cut));
});

test("a weight on features that match nothing is an error, and not a weight on nothing", async () => {
  const small = await apply("packed", teacher, {});
  await expect(apply("fine-tune", small, { featureWeight: 1 })).rejects.toMatchObject({
    code: "E_USAGE",
    message: expect.stringContaining("same name"),
  });
  const wanted = { notes: [expect.stringContaining("inner layers included")] };
  expect(await TECHNIQUES["fine-tune"](teacher, { featureWeight: 1, epochs: 1 }, context)).toMatchObject(wanted);
  // The search's own weight, where a recipe names none.
  const everywhere = { ...context, retrain: { ...context.retrain, epochs: 1, featureWeight: 1 } };
  expect(await TECHNIQUES["fine-tune"](teacher, {}, everywhere)).toMatchObject(wanted);
});

const STATIC = { range: "minmax", samples: 128, form: "qdq", biasCorrection: false } as const;

test("what static int8 loses is trained back through the rounding, and the model still runs in integers", async () => {
  const coarse = { ...context, weightGrid: { dtype: "int8", bits: 3 } as never };
  const rounded = await apply("static-int8", teacher, STATIC, coarse);
  const trained = await apply("qat", rounded, { learningRate: 0.003 });
  expect(await crossEntropy(trained)).toBeLessThan(0.85 * (await crossEntropy(rounded)));
  const { int8Share } = await executedPrecision(await serializeOnnx(trained));
  expect(int8Share).toBe(1);
  const types = (model: ModelGraph) =>
    [...model.graph.initializers].map(([name, { dtype, shape }]) => [name, dtype, shape]);
  expect(types(trained)).toEqual(types(rounded));
});

test("zero epochs away, the form that trains computes what the stored integers compute", async () => {
  const stored = await apply(
    "static-int8",
    convNet(),
    { ...STATIC, samples: 16 },
    { ...context, calibration: samplesFor(convNet(), 16) },
  );
  const form = (await toLatentForm(stored))!;
  const data = samplesFor(stored, 12);
  expect(signalToNoise(await outputsOf(stored, data), await outputsOf(form.model, data))).toBeGreaterThan(100);
  const back = await form.store(form.model);
  expect(Buffer.from(await serializeOnnx(back)).equals(Buffer.from(await serializeOnnx(stored)))).toBe(true);
});

test.each([4, 8] as const)("weights of %i bits by training, stored as such", async (bits) => {
  const trained = await apply("qat", teacher, { bits, learningRate: 0.003 });
  const dequantize = trained.graph.nodes.filter(({ opType }) => opType === "DequantizeLinear");
  expect(dequantize.map(({ inputs }) => trained.graph.initializers.get(inputs[0])!.dtype)).toEqual([
    `int${bits}`,
    `int${bits}`,
  ]);
  expect(await crossEntropy(trained)).toBeLessThan(1.15 * (await crossEntropy(teacher)) + 0.02);
});

test("what cannot be done without data is refused with the reason", async () => {
  const without = { ...context, train: undefined };
  for (const [technique, options] of [
    ["fine-tune", {}],
    ["tune-small", {}],
    ["qat", { bits: 8 }],
    ["prune", { ...PRUNE, criterion: "second-order" }],
  ] as const) {
    expect(await TECHNIQUES[technique](gemmNet(), options, without)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("training data"),
    });
  }
});
