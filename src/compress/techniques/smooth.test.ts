// Tests of scale migration: the same answers to the last bit, and far less noise after int8; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { float, int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { dynamicInt8 } from "./dynamic-int8.ts";
import { smooth } from "./smooth.ts";
import { gemmNet, net, outputsOf, randomTensor, samplesFor, signalToNoise } from "./test-models.ts";

const WIDTH = 48;
const weightGrid = { dtype: "int8", bits: 7 } as const;

const vector = (name: string, values: (at: number) => number, length = WIDTH): TensorRef =>
  memoryTensor(
    name,
    float32Tensor(
      [length],
      Float32Array.from({ length }, (_, at) => values(at)),
    ),
  );

/** A few channels sixty times as large as the others, as large language models have them. */
const outliers = (at: number): number => (at % 16 === 5 ? 60 : 1);

/** What gives `h` with outlying channels, read by two products whose results are added. */
function outlierNet(head: readonly Node[], tensors: readonly TensorRef[]): ModelGraph {
  const random = seededRandom(11);
  return net(
    ["batch", "time", WIDTH],
    [
      ...head,
      node("MatMul", ["h", "wa"], ["a"]),
      node("MatMul", ["h", "wb"], ["b"]),
      node("Relu", ["a"], ["ra"]),
      node("Concat", ["ra", "b"], ["y"], { axis: int(-1) }),
    ],
    [
      ...tensors,
      memoryTensor("wa", float32Tensor([WIDTH, 24], quietRows(random, 24))),
      memoryTensor("wb", float32Tensor([WIDTH, 16], quietRows(random, 16))),
    ],
  );
}

/** Weights that take no more from the outlying channels than from the others. */
function quietRows(random: ReturnType<typeof seededRandom>, n: number): Float32Array {
  return Float32Array.from({ length: WIDTH * n }, (_, at) => (random.normal() * 0.2) / outliers(Math.floor(at / n)));
}

const random = seededRandom(3);
const NETS: readonly (readonly [string, ModelGraph, boolean])[] = [
  [
    "LayerNormalization",
    outlierNet(
      [node("LayerNormalization", ["x", "g", "s"], ["h"], { axis: int(-1), epsilon: float(1e-5) })],
      [vector("g", outliers), vector("s", () => 0.3)],
    ),
    false,
  ],
  [
    "gain and shift written as Mul and Add",
    outlierNet(
      [node("Mul", ["x", "g"], ["m"]), node("Add", ["m", "s"], ["h"])],
      [vector("g", outliers), vector("s", (at) => at / WIDTH)],
    ),
    false,
  ],
  [
    "a product with bias and Relu",
    outlierNet(
      [node("MatMul", ["x", "w0"], ["p"]), node("Add", ["p", "b0"], ["q"]), node("Relu", ["q"], ["h"])],
      [
        memoryTensor(
          "w0",
          float32Tensor(
            [WIDTH, WIDTH],
            Float32Array.from({ length: WIDTH ** 2 }, (_, at) => random.normal() * 0.2 * outliers(at % WIDTH)),
          ),
        ),
        vector("b0", () => 0.1),
      ],
    ),
    false,
  ],
  [
    "one factor of a gated product",
    outlierNet(
      [
        node("MatMul", ["x", "w0"], ["up"]),
        node("Sigmoid", ["x"], ["gate"]),
        node("Mul", ["gate", "up"], ["m"]),
        node("Mul", ["m", "g"], ["h"]),
      ],
      [randomTensor("w0", [WIDTH, WIDTH], seededRandom(5), 0.2), vector("g", outliers)],
    ),
    false,
  ],
  [
    "a value that nothing before it can scale",
    outlierNet(
      [node("Mul", ["x", "g"], ["m"]), node("Tanh", ["x"], ["t"]), node("Add", ["m", "t"], ["h"])],
      [vector("g", outliers)],
    ),
    true,
  ],
];

async function smoothed(graph: ModelGraph, insert: boolean) {
  const context = { calibration: samplesFor(graph, 64, 4), threads: 1, signal: undefined };
  const result = await smooth(graph, { insert }, context);
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
}

async function afterInt8(graph: ModelGraph, data: ReturnType<typeof samplesFor>): Promise<Float32Array> {
  const result = await dynamicInt8(graph, { activations: "tensor" }, { weightGrid });
  if (result.kind === "refused") throw new Error(result.reason);
  return outputsOf(result.model, data);
}

describe("smooth", () => {
  it.each(NETS)("answers as before to the last bit: %s", async (_name, graph, insert) => {
    const data = samplesFor(graph, 20);
    expect(await outputsOf(await smoothed(graph, insert), data)).toEqual(await outputsOf(graph, data));
  });

  it.each(NETS)("saves outlying channels from one range for all: %s", async (_name, graph, insert) => {
    const data = samplesFor(graph, 20);
    const wanted = await outputsOf(graph, data);
    const before = signalToNoise(wanted, await afterInt8(graph, data));
    const after = signalToNoise(wanted, await afterInt8(await smoothed(graph, insert), data));
    expect(before).toBeLessThan(25);
    expect(after).toBeGreaterThan(before + 10);
  });

  it("leaves a value alone that something besides products reads", async () => {
    const graph = outlierNet(
      [node("LayerNormalization", ["x", "g", "s"], ["h"], { axis: int(-1) }), node("Tanh", ["h"], ["t"])],
      [vector("g", outliers), vector("s", () => 0.3)],
    );
    const withTanh = {
      ...graph,
      graph: { ...graph.graph, outputs: [...graph.graph.outputs, { ...graph.graph.outputs[0], name: "t" }] },
    };
    const context = { calibration: samplesFor(graph, 64, 4), threads: 1, signal: undefined };
    expect(await smooth(withTanh, { insert: false }, context)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("could be scaled"),
    });
    const data = samplesFor(graph, 20);
    expect(await outputsOf(await smoothed(withTanh, true), data)).toEqual(await outputsOf(graph, data));
  });

  it("refuses without calibration data, and where it would not help", async () => {
    const context = { calibration: undefined, threads: 1, signal: undefined };
    expect(await smooth(gemmNet(), { insert: true }, context)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("calibration data"),
    });
    const graph = net(
      ["batch", WIDTH],
      [node("Mul", ["x", "g"], ["h"]), node("MatMul", ["h", "w"], ["y"])],
      [vector("g", () => 1), randomTensor("w", [WIDTH, 8], seededRandom(2))],
    );
    const calibration = samplesFor(graph, 64, 4);
    expect(await smooth(graph, { insert: true }, { ...context, calibration })).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("no layer would lose less"),
    });
  });
});
