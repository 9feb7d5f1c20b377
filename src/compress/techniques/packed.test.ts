// Tests of packed storage: ONNX Runtime rebuilds every bit, outputs stay equal, the file shrinks; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor, readTensorBytes } from "../../model/tensor-data.ts";
import { float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom, type Random } from "../../statistics/index.ts";
import { packed } from "./packed.ts";
import { convNet, executedOperators, gemmNet, net, outputsOf, samplesFor } from "./test-models.ts";

async function pack(model: ModelGraph): Promise<ModelGraph> {
  const result = await packed(model);
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
}

/** A model whose outputs are its weights: what a runtime rebuilds can be read. */
function bare(tensors: readonly TensorRef[], opset: number): ModelGraph {
  const base = net(["n"], [], tensors, opset);
  // Identity of a weight is not a graph output itself, so packing may rebuild it.
  const nodes = [
    node("Identity", ["x"], ["y"]),
    ...tensors.map(({ name }) => node("Identity", [name], [`${name}_out`])),
  ];
  const outputs = [
    ...base.graph.outputs,
    ...tensors.map(({ name }) => ({
      name: `${name}_out`,
      type: { kind: "tensor" as const, dtype: "float32" as const, shape: undefined },
    })),
  ];
  return { ...base, graph: { ...base.graph, nodes, outputs } };
}

async function rebuilt(model: ModelGraph): Promise<Record<string, TensorValue>> {
  const session = await openSession(await serializeOnnx(model), { threads: 1 });
  try {
    return await session.run({ x: float32Tensor([1], new Float32Array(1)) });
  } finally {
    await session.close();
  }
}

async function answerOf(graph: ModelGraph): Promise<TensorValue> {
  const session = await openSession(await serializeOnnx(graph), { threads: 1 });
  try {
    return (await session.run({ x: float32Tensor([1, 20], new Float32Array(20).fill(1)) }))["y"];
  } finally {
    await session.close();
  }
}

it("makes a weight that was also an input a constant", async () => {
  const weights = Float32Array.from({ length: 400 }, (_, at) => at % 4);
  const inputs = [tensorInfo("x", "float32", [1, 20]), tensorInfo("w", "float32", [20, 20])];
  const base = net([1, 20], [node("MatMul", ["x", "w"], ["y"])], [memoryTensor("w", float32Tensor([20, 20], weights))]);
  const before = { ...base, graph: { ...base.graph, inputs } };
  const after = await pack(before);
  expect(after.graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  expect(await answerOf(after)).toEqual(await answerOf(before));
});

/** Outputs may have any NaN; weights keep theirs, so bits are compared. */
async function expectSameBits(tensors: readonly TensorRef[], opset: number): Promise<number> {
  const model = bare(tensors, opset);
  const smaller = await pack(model);
  const outputs = await rebuilt(smaller);
  for (const tensor of tensors) {
    const found = outputs[`${tensor.name}_out`];
    expect([tensor.name, found.shape]).toEqual([tensor.name, tensor.shape]);
    const { buffer, byteOffset, byteLength } = found.data;
    expect(Buffer.compare(Buffer.from(buffer, byteOffset, byteLength), await readTensorBytes(tensor))).toBe(0);
  }
  return (await serializeOnnx(smaller)).byteLength;
}

const tensorOf = (name: string, values: Float32Array, shape: readonly number[] = [values.length]): TensorRef =>
  memoryTensor(name, float32Tensor(shape, values));

const fromBits = (bits: readonly number[], count: number, random: Random): Float32Array =>
  new Float32Array(Uint32Array.from({ length: count }, () => bits[Math.floor(random.next() * bits.length)]).buffer);

/** `count` values of which a share is not zero, out of `choices` distinct ones. */
function sparse(count: number, density: number, choices: number, random: Random): Float32Array {
  const book = Array.from({ length: choices }, () => random.normal());
  return Float32Array.from({ length: count }, () =>
    random.next() < density ? book[Math.floor(random.next() * choices)] : 0,
  );
}

const HOSTILE: readonly [string, (random: Random) => Float32Array][] = [
  ["empty", () => new Float32Array(0)],
  ["one element", () => Float32Array.of(0.25)],
  ["all zero", () => new Float32Array(1000)],
  ["all equal", () => new Float32Array(1000).fill(0.1)],
  ["minus zero among zeros", (random) => fromBits([0, 0, 0, 0x80000000], 500, random)],
  ["NaN payloads", (random) => fromBits([0, 0x7fc00001, 0xffc12345, 0x7f800000, 0x3f800000], 700, random)],
  ["one survivor at the start", () => Float32Array.from({ length: 900 }, (_, at) => (at === 0 ? 1.5 : 0))],
  ["one survivor at the end", () => Float32Array.from({ length: 900 }, (_, at) => (at === 899 ? 1.5 : 0))],
  ["a long gap", () => Float32Array.from({ length: 20_000 }, (_, at) => (at < 40 || at > 19_990 ? 3 : 0))],
  [
    "256 values",
    (random) =>
      fromBits(
        Array.from({ length: 256 }, (_, at) => 0x3f000000 + at),
        3000,
        random,
      ),
  ],
  ["257 values", () => Float32Array.from({ length: 3000 }, (_, at) => Math.fround(at % 257))],
  ["half floats", (random) => fromBits([0x3f802000, 0x33800000, 0x7f800000, 0xc77fe000], 600, random)],
  [
    "bfloat16",
    (random) =>
      Float32Array.from(
        { length: 600 },
        () => new Float32Array(Uint32Array.of((Math.floor(random.next() * 0x7f00) << 16) >>> 0).buffer)[0],
      ),
  ],
  ["dense", (random) => Float32Array.from({ length: 300 }, () => random.normal())],
];

describe("packed", () => {
  it.each(HOSTILE)("gives every bit back: %s", async (_name, make) => {
    for (const opset of [13, 17, 18, 21]) await expectSameBits([tensorOf("w", make(seededRandom(3)))], opset);
  });

  it("gives every bit back of random mixtures of tensors", async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 25; round++) {
      const tensors = Array.from({ length: 1 + Math.floor(random.next() * 5) }, (_, at) => {
        const rows = 1 + Math.floor(random.next() * 60);
        const columns = 1 + Math.floor(random.next() * 60);
        const choices = 2 ** Math.floor(random.next() * 9);
        const values = sparse(rows * columns, random.next() ** 2, choices, random);
        return tensorOf(`w${at}`, values, [rows, columns]);
      });
      await expectSameBits(tensors, [13, 18, 21][round % 3]);
    }
  });

  it("answers like the original, computes the weights once, and costs an inference the same", async () => {
    for (const original of [gemmNet(), convNet()]) {
      const random = seededRandom(5);
      const initializers = new Map(
        [...original.graph.initializers].map(([name, tensor]) => {
          const count = tensor.shape.reduce((product, size) => product * size, 1);
          return [name, tensorOf(name, sparse(count, 0.3, 7, random), tensor.shape)] as const;
        }),
      );
      const model = { ...original, graph: { ...original.graph, initializers } };
      const smaller = await pack(model);
      const data = samplesFor(model, 20);
      expect(await outputsOf(smaller, data)).toEqual(await outputsOf(model, data));
      expect(await executedOperators(smaller)).toEqual(await executedOperators(model));
      expect((await serializeOnnx(smaller)).byteLength).toBeLessThan((await serializeOnnx(model)).byteLength / 2);
      const [before, after] = [await analyze(model), await analyze(smaller)];
      expect(after.coverage.knownFraction).toBe(1);
      for (const key of ["parameters", "macs", "flops", "bytesMoved", "peakActivationBytes"] as const) {
        expect([key, after[key]]).toEqual([key, before[key]]);
      }
      expect(after.weightBytes).toBeLessThan(before.weightBytes);
    }
  });

  it("never makes a file larger", async () => {
    const model = gemmNet();
    expect((await serializeOnnx(await pack(model))).byteLength).toBeLessThanOrEqual(
      (await serializeOnnx(model)).byteLength,
    );
  });

  it("stores 784-128-10 with 5,500 survivors of 8 values fifty times smaller than float32", async () => {
    const random = seededRandom(7);
    const model = net(
      ["batch", 784],
      [
        node("MatMul", ["x", "hidden_weight"], ["hidden_product"]),
        node("Add", ["hidden_product", "hidden_bias"], ["hidden_sum"]),
        node("Relu", ["hidden_sum"], ["hidden"]),
        node("MatMul", ["hidden", "output_weight"], ["output_product"]),
        node("Add", ["output_product", "output_bias"], ["y"]),
      ],
      [
        tensorOf("hidden_weight", sparse(784 * 128, 0.05, 8, random), [784, 128]),
        tensorOf("hidden_bias", sparse(128, 0.7, 8, random)),
        tensorOf("output_weight", sparse(1280, 0.3, 8, random), [128, 10]),
        tensorOf("output_bias", sparse(10, 1, 8, random)),
      ],
      21,
    );
    const smaller = await pack(model);
    expect(await executedOperators(smaller)).toEqual(await executedOperators(model));
    const bytes = (await serializeOnnx(smaller)).byteLength;
    expect(bytes).toBeLessThan((4 * (784 * 128 + 128 + 1280 + 10)) / 50);
  });
});
