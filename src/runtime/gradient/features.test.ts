// The loss on features against its formula, its gradient against differences, and which values are matched; depends on its room and vitest.
import { describe, expect, test } from "vitest";
import { int } from "../../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/random.ts";
import { openSession } from "../session.ts";
import { Emitter } from "./emitter.ts";
import { emitFeatures, teacherFeatures, type FeatureOptions, type MatchedPair } from "./features.ts";
import { forwardGraph } from "./forward-graph.ts";

const drawn = (shape: readonly number[], seed: number): Float32Array => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: elementCount(shape) }, () => random.normal());
};

const sumOfSquares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value ** 2, 0);

/** The loss of pairs and its gradients by ONNX Runtime; each gradient is held against differences. */
async function evaluated(pairs: readonly MatchedPair[], weight: number, values: Record<string, Float32Array>) {
  const emit = new Emitter("f/");
  const { loss, gradients } = emitFeatures(emit, { pairs, weight });
  const shapes = new Map(
    pairs.flatMap(({ student, teacher, shape, teacherShape }) => [
      [student, shape],
      [teacher, teacherShape],
    ]),
  );
  const source = graph({
    nodes: emit.nodes,
    initializers: emit.initializers,
    inputs: [...shapes].map(([name, shape]) => tensorInfo(name, "float32", shape)),
    outputs: [loss, ...gradients.values()].map((name) => ({ name, type: undefined })),
  });
  const session = await openSession(await serializeOnnx(model(source)), { threads: 1 });
  const at = (changed: Record<string, Float32Array>) =>
    session.run(Object.fromEntries([...shapes].map(([name, shape]) => [name, float32Tensor(shape, changed[name])])));
  const results = await at(values);
  for (const [name, gradient] of gradients) {
    for (let i = 0; i < values[name].length; i++) {
      const moved = async (step: number) => {
        const copy = values[name].slice();
        copy[i] += step;
        return Number((await at({ ...values, [name]: copy }))[loss].data[0]);
      };
      const numeric = ((await moved(1e-2)) - (await moved(-1e-2))) / 2e-2;
      expect(Number(results[gradient].data[i])).toBeCloseTo(numeric, 3);
    }
  }
  await session.close();
  return Number(results[loss].data[0]);
}

const pair = (
  shape: readonly number[],
  teacherShape: readonly number[],
  comparison: MatchedPair["comparison"],
  at = 0,
): MatchedPair => ({ student: `s${at}`, teacher: `t${at}`, shape, teacherShape, comparison });

describe("the loss on features", () => {
  test("is the squared error relative to the teacher's squares, averaged over pairs", async () => {
    const pairs = [pair([2, 3], [2, 3], { kind: "whole" }), pair([2, 2, 2], [2, 2, 2], { kind: "whole" }, 1)];
    const values = { s0: drawn([2, 3], 1), t0: drawn([2, 3], 2), s1: drawn([2, 2, 2], 3), t1: drawn([2, 2, 2], 4) };
    const relative = (s: Float32Array, t: Float32Array) =>
      sumOfSquares([...s].map((value, i) => value - t[i])) / sumOfSquares([...t]);
    const wanted = (3 * (relative(values.s0, values.t0) + relative(values.s1, values.t1))) / 2;
    expect(await evaluated(pairs, 3, values)).toBeCloseTo(wanted, 5);
  });

  test("looks at the teacher's units that the student still has", async () => {
    const pairs = [pair([2, 2], [2, 4], { kind: "units", axis: 1, positions: [3, 1] })];
    const s0 = Float32Array.of(1, 2, 3, 4);
    const t0 = Float32Array.of(9, 2, 9, 1, 9, 0, 9, 5); // units 3 and 1: [1, 2], [5, 0]
    expect(await evaluated(pairs, 1, { s0, t0 })).toBeCloseTo((4 + 16) / 30, 5);
  });

  test("compares where in space there is much when channels differ", async () => {
    const [shape, teacherShape] = [
      [2, 2, 3, 2],
      [2, 4, 3, 2],
    ];
    const pairs = [pair(shape, teacherShape, { kind: "attention" })];
    const values = { s0: drawn(shape, 5), t0: drawn(teacherShape, 6) };
    const unitMap = (x: Float32Array, channels: number, sample: number): number[] => {
      const map = Array.from({ length: 6 }, (_, place) => {
        const own = Array.from({ length: channels }, (_none, c) => x[(sample * channels + c) * 6 + place]);
        return sumOfSquares(own) / channels;
      });
      const norm = Math.sqrt(sumOfSquares(map));
      return map.map((value) => value / norm);
    };
    const distance = [0, 1].map((sample) => {
      const theirs = unitMap(values.t0, 4, sample);
      return sumOfSquares(unitMap(values.s0, 2, sample).map((value, i) => value - theirs[i]));
    });
    expect(await evaluated(pairs, 2, values)).toBeCloseTo(distance[0] + distance[1], 5);
  });

  test("adds up where one value is compared twice, and a teacher's zeros are no division by zero", async () => {
    const twice = [
      pair([1, 2], [1, 2], { kind: "whole" }),
      { ...pair([1, 2], [1, 2], { kind: "whole" }, 1), student: "s0" },
    ];
    const values = { s0: Float32Array.of(1, 1), t0: Float32Array.of(2, 1), t1: Float32Array.of(1, 3) };
    expect(await evaluated(twice, 1, values)).toBeCloseTo((1 / 5 + 4 / 10) / 2, 5);
    const zeros = { s0: new Float32Array(2), t0: new Float32Array(2) };
    expect(await evaluated([pair([1, 2], [1, 2], { kind: "whole" })], 1, zeros)).toBe(0);
  });
});

const weight = (name: string, shape: readonly number[]): TensorRef =>
  memoryTensor(name, float32Tensor(shape, drawn(shape, name.length)));

/** Convolution with bias apart, Relu, pool, a hidden layer as MatMul and Add, scores. */
function net({ channels = 4, hidden = 6, input = "x" } = {}): ModelGraph {
  return model({
    nodes: [
      node("Conv", [input, "w1"], ["c"]),
      node("Relu", ["c"], ["r"]),
      node("Flatten", ["r"], ["f"]),
      node("MatMul", ["f", "w2"], ["p"]),
      node("Add", ["p", "b2"], ["h"]),
      node("Sigmoid", ["h"], ["a"]),
      node("Gemm", ["a", "w3", "b3"], ["scores"]),
      node("Softmax", ["scores"], ["y"], { axis: int(1) }),
    ],
    inputs: [tensorInfo(input, "float32", ["n", 1, 4, 4])],
    outputs: [tensorInfo("y", "float32", ["n", 3])],
    initializers: [
      weight("w1", [channels, 1, 2, 2]),
      weight("w2", [9 * channels, hidden]),
      weight("b2", [hidden]),
      weight("w3", [hidden, 3]),
      weight("b3", [3]),
    ],
  });
}

const specs = { x: { dtype: "float32", shape: [5, 1, 4, 4] } } as const;

async function matched(student: ModelGraph, teacher: ModelGraph, options: Partial<FeatureOptions> = {}) {
  const forward = await forwardGraph(student, specs);
  return teacherFeatures(forward, teacher, "kl", { weight: 1, ...options });
}

describe("matching", () => {
  test("takes each layer after its activation, but not the scores, and runs the teacher on the student's input", async () => {
    const { pairs, nodes } = await matched(net(), net({ input: "image" }));
    expect(pairs.map(({ student, teacher, comparison }) => [student, teacher, comparison.kind])).toEqual([
      ["r", "teacher/r", "whole"],
      ["a", "teacher/a", "whole"],
    ]);
    expect(nodes[0].inputs).toEqual(["x", "teacher/w1"]);
    expect(nodes.map(({ opType }) => opType)).not.toContain("Softmax");
  });

  test("of other widths: named units, maps of attention, or nothing", async () => {
    const narrow = net({ channels: 2, hidden: 3 });
    const kept = { c: [3, 0], p: [5, 2, 1] };
    const { pairs } = await matched(narrow, net(), { kept });
    expect(pairs.map(({ comparison }) => comparison)).toEqual([
      { kind: "units", axis: 1, positions: [3, 0] },
      { kind: "units", axis: 1, positions: [5, 2, 1] },
    ]);
    const blind = await matched(narrow, net());
    expect(blind.pairs.map(({ student, comparison }) => [student, comparison.kind])).toEqual([["r", "attention"]]);
  });

  test("takes pairs that are given, and says what does not fit", async () => {
    const { pairs } = await matched(net(), net(), { pairs: [{ student: "h", teacher: "p" }] });
    expect(pairs).toMatchObject([{ student: "h", teacher: "teacher/p", comparison: { kind: "whole" } }]);
    const wrong = (student: string, teacher: string) => matched(net(), net(), { pairs: [{ student, teacher }] });
    await expect(wrong("none", "p")).rejects.toMatchObject({
      code: "E_USAGE",
      message: expect.stringContaining("student computes no"),
    });
    await expect(wrong("h", "w2")).rejects.toMatchObject({ message: expect.stringContaining("teacher computes no") });
    await expect(wrong("h", "r")).rejects.toMatchObject({
      message: expect.stringContaining("[5, 6] and [5, 4, 3, 3]"),
    });
  });

  test("refuses models that have nothing in common, and a teacher with another input", async () => {
    const other = net();
    const renamed = {
      ...other,
      graph: {
        ...other.graph,
        nodes: other.graph.nodes.map((each) => ({
          ...each,
          inputs: each.inputs.map((name) => (other.graph.initializers.has(name) || name === "x" ? name : `${name}_`)),
          outputs: each.outputs.map((name) => `${name}_`),
        })),
        outputs: [tensorInfo("y_", "float32", ["n", 3])],
      },
    };
    await expect(matched(net(), renamed)).rejects.toMatchObject({
      code: "E_USAGE",
      hint: expect.stringContaining("--feature"),
    });
    const two = {
      ...other,
      graph: { ...other.graph, inputs: [...other.graph.inputs, tensorInfo("z", "float32", ["n"])] },
    };
    await expect(matched(net(), two)).rejects.toMatchObject({ code: "E_DATA" });
  });
});
