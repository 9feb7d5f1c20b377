// Tests of calibration in segments against one session of the whole model: the same values of the same batches, bit for bit; depends on
// model, runtime and the file beside it.
import fc from "fast-check";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { int } from "../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { serializeOnnx, writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor, stringTensor } from "../model/tensor-data.ts";
import { elementCount, float32Tensor, int64Tensor, type TensorValue } from "../model/tensor-value.ts";
import { createDataset, type Dataset } from "../runtime/dataset.ts";
import { openSession } from "../runtime/session.ts";
import { seededRandom, type Random } from "../statistics/index.ts";
import { watchBySegment, watchTensors } from "./calibrate.ts";
import { momentsBySegment, secondMoments } from "./second-moments.ts";

const WIDTH = 8;

const normal = (shape: readonly number[], random: Random) =>
  float32Tensor(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => random.normal() / 2),
  );

type Seen = Map<string, { rows: number; value: TensorValue }[]>;

/** What one session of the whole model, weights unpacked as a segment's are, gives for the same batches. */
async function wholeRun(whole: ModelGraph, names: readonly string[], data: Dataset, batches: readonly number[]) {
  const outputs = names.map((name) => ({ name, type: undefined }));
  const bytes = await serializeOnnx({ ...whole, graph: { ...whole.graph, outputs } });
  const session = await openSession(bytes, { threads: 1, extra: { session: { disable_prepacking: "1" } } });
  const seen: Seen = new Map();
  let start = 0;
  for (const rows of batches) {
    const feeds = Object.fromEntries(
      [...data.inputs].map(([name, { dtype, shape, data: values }]) => {
        const size = elementCount(shape.slice(1));
        const part = values.slice(start * size, (start + rows) * size);
        return [name, { dtype, shape: [rows, ...shape.slice(1)], data: part }];
      }),
    );
    const found = await session.run(feeds);
    for (const name of names) seen.set(name, [...(seen.get(name) ?? []), { rows, value: found[name] }]);
    start += rows;
  }
  await session.close();
  return seen;
}

async function segmentedRun(whole: ModelGraph, names: readonly string[], data: Dataset, segmentBytes: number) {
  const seen: Seen = new Map();
  const segments: (readonly string[])[] = [];
  const groups = names.map((name) => ({ names: [name] }));
  const see = (name: string, value: TensorValue, rows: number) => {
    // A copy: the values are gone after the call.
    const kept = { ...value, data: value.data.slice() };
    seen.set(name, [...(seen.get(name) ?? []), { rows, value: kept }]);
  };
  for await (const done of watchBySegment(whole, groups, data, { threads: 1, segmentBytes }, see)) segments.push(done);
  return { seen, segments };
}

const dataOf = (inputs: Record<string, TensorValue>): Dataset =>
  createDataset({ name: "samples", inputs: new Map(Object.entries(inputs)) });

/**
 * A net in which all that a cut has to carry crosses some node: integers (a shape), truth values (a mask), what a subgraph reads from
 * outside, a residual from the first layer to the last, an input that is read at the end, one with a default, one weight in two layers.
 */
function allKinds(): ModelGraph {
  const random = seededRandom(7);
  const weight = (name: string, rows = WIDTH) => memoryTensor(name, normal([rows, WIDTH], random));
  const branch = (name: string, reads: string, by: string) =>
    graph({
      name,
      nodes: [node("MatMul", [reads, by], [`${name}_out`])],
      outputs: [tensorInfo(`${name}_out`, "float32", undefined)],
    });
  return model(
    {
      nodes: [
        node("MatMul", ["x", "w0"], ["first"]),
        node("Shape", ["first"], ["sizes"]),
        node("Greater", ["first", "zero"], ["mask"]),
        node("Reshape", ["first", "flat"], ["long"]),
        node("MatMul", ["long", "w1"], ["second"]),
        node("Relu", ["second"], ["third"]),
        node("MatMul", ["third", "w0"], ["fourth"]),
        node("ReduceMean", ["third"], ["level"], { keepdims: int(0) }),
        node("Greater", ["level", "zero"], ["isHigh"]),
        node("If", ["isHigh"], ["fifth"], {
          then_branch: { type: "graph", value: branch("then", "fourth", "w2") },
          else_branch: { type: "graph", value: branch("else", "second", "w3") },
        }),
        node("Reshape", ["fifth", "sizes"], ["sixth"]),
        node("Where", ["mask", "sixth", "first"], ["seventh"]),
        node("Add", ["seventh", "shift"], ["eighth"]),
        node("MatMul", ["eighth", "w4"], ["ninth"]),
        node("Mul", ["ninth", "late"], ["tenth"]),
        node("Add", ["tenth", "first"], ["y"]),
      ],
      inputs: [
        tensorInfo("x", "float32", ["n", 3, WIDTH]),
        tensorInfo("late", "float32", ["n", 3, WIDTH]),
        tensorInfo("shift", "float32", [WIDTH]),
      ],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers: [
        ...["w0", "w1", "w2", "w3", "w4"].map((name) => weight(name)),
        memoryTensor("zero", float32Tensor([], Float32Array.of(0))),
        memoryTensor("flat", int64Tensor([2], [-1, WIDTH])),
        memoryTensor("shift", normal([WIDTH], random)),
      ],
    },
    17,
  );
}

const allKindsData = (): Dataset => {
  const random = seededRandom(8);
  return dataOf({ x: normal([10, 3, WIDTH], random), late: normal([10, 3, WIDTH], random) });
};

const NAMES = ["x", "first", "second", "third", "fourth", "fifth", "seventh", "ninth", "late", "y"];

/** The sizes of runs: one sample, and then as many as there are. */
const BATCHES = [1, 9];

describe("calibration in segments", () => {
  it("sees what a session of the whole model gives, with values of every kind across the cuts", async () => {
    const [whole, data] = [allKinds(), allKindsData()];
    const wanted = await wholeRun(whole, NAMES, data, BATCHES);
    const { seen, segments } = await segmentedRun(whole, NAMES, data, 4 * WIDTH * WIDTH);
    expect(segments.length).toBeGreaterThan(3);
    expect(segments.flat().toSorted()).toEqual(NAMES.toSorted());
    expect(seen).toEqual(wanted);
  });

  it("is one run of the whole model within the budget", async () => {
    const { seen, segments } = await segmentedRun(allKinds(), NAMES, allKindsData(), 2 ** 20);
    expect(segments).toEqual([NAMES]);
    expect([...seen.values()].map((batches) => batches.map(({ rows }) => rows))).toEqual(NAMES.map(() => BATCHES));
  });

  it("gives the same for any graph, any watched values and any cuts", { timeout: 60_000 }, async () => {
    const step = fc.record({ op: fc.constantFrom("MatMul", "Add", "Relu", "Mul"), left: fc.nat(), right: fc.nat() });
    const drawn = fc.record({
      steps: fc.array(step, { minLength: 3, maxLength: 14 }),
      watched: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
      weights: fc.integer({ min: 1, max: 4 }),
      budget: fc.integer({ min: 1, max: 6 }),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ steps, watched, weights, budget, seed }) => {
        const random = seededRandom(seed);
        const initializers = Array.from({ length: weights }, (_, at) =>
          memoryTensor(`w${at}`, normal([WIDTH, WIDTH], random)),
        );
        const nodes: Node[] = [];
        const values = ["x"];
        for (const { op, left, right } of steps) {
          const a = values[left % values.length];
          const b = op === "MatMul" ? `w${right % weights}` : values[right % values.length];
          const name = `v${nodes.length}`;
          nodes.push(node(op, op === "Relu" ? [a] : [a, b], [name]));
          values.push(name);
        }
        const whole = model({
          nodes,
          inputs: [tensorInfo("x", "float32", ["n", WIDTH])],
          outputs: [tensorInfo(values.at(-1)!, "float32", undefined)],
          initializers,
        });
        const names = [...new Set(watched.map((at) => values[1 + (at % (values.length - 1))]))];
        const data = dataOf({ x: normal([5, WIDTH], random) });
        const { seen, segments } = await segmentedRun(whole, names, data, budget * 4 * WIDTH * WIDTH - 1);
        expect(segments.flat().toSorted()).toEqual(names.toSorted());
        // Packed weights, as a whole model has them, add up in another order.
        if (segments.length > 1) expect(seen).toEqual(await wholeRun(whole, names, data, [1, 4]));
      }),
      { seed: 11, numRuns: 40 },
    );
  });

  it("never cuts where strings or sequences cross", async () => {
    const random = seededRandom(3);
    const whole = model({
      nodes: [
        node("MatMul", ["x", "a"], ["h"]),
        node("SequenceConstruct", ["h", "x"], ["pair"]),
        node("ConcatFromSequence", ["pair"], ["i"], { axis: int(0) }),
        node("Identity", ["texts"], ["words"]),
        node("Shape", ["words"], ["count"]),
        node("MatMul", ["i", "b"], ["j"]),
        node("Expand", ["j", "count"], ["k"]),
        node("MatMul", ["k", "c"], ["l"]),
        node("Size", ["words"], ["size"]),
        node("SequenceAt", ["pair", "size"], ["second"]),
        node("MatMul", ["second", "d"], ["m"]),
        node("MatMul", ["m", "e"], ["o"]),
      ],
      inputs: [tensorInfo("x", "float32", ["n", WIDTH])],
      outputs: [tensorInfo("l", "float32", undefined), tensorInfo("o", "float32", undefined)],
      initializers: [
        ...["a", "b", "c", "d", "e"].map((name) => memoryTensor(name, normal([WIDTH, WIDTH], random))),
        stringTensor("texts", [1], ["one"]),
      ],
    });
    const names = ["h", "i", "j", "k", "l", "m", "o"];
    const data = dataOf({ x: normal([3, WIDTH], random) });
    const { seen, segments } = await segmentedRun(whole, names, data, 1);
    // The sequence and the strings are read again behind b and c; else each matrix would be a segment.
    expect(segments).toEqual([["h"], ["i", "j", "k", "l"], ["m"], ["o"]]);
    expect(seen).toEqual(await wholeRun(whole, names, data, [1, 2]));
  });

  it("reads no weights that the watched values do not need", async () => {
    const random = seededRandom(5);
    const weight = memoryTensor("a", normal([WIDTH, WIDTH], random));
    const lost: TensorRef = {
      ...weight,
      name: "b",
      data: {
        kind: "computed",
        make: () => Promise.reject(new Error("not to be read")),
      },
    };
    const whole = model({
      nodes: [node("MatMul", ["x", "a"], ["h"]), node("MatMul", ["h", "b"], ["y"])],
      inputs: [tensorInfo("x", "float32", ["n", WIDTH])],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers: [weight, lost],
    });
    const data = dataOf({ x: normal([3, WIDTH], random) });
    const { segments } = await segmentedRun(whole, ["h"], data, 4 * WIDTH ** 2);
    expect(segments).toEqual([["h"]]);
    await expect(segmentedRun(whole, ["h", "y"], data, 4 * WIDTH ** 2)).rejects.toThrow("not to be read");
  });

  it("takes batches of the size that the model fixes, a short last one filled up", async () => {
    const random = seededRandom(4);
    const whole = model({
      nodes: [node("MatMul", ["x", "a"], ["h"]), node("MatMul", ["h", "b"], ["y"])],
      inputs: [tensorInfo("x", "float32", [2, WIDTH])],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers: ["a", "b"].map((name) => memoryTensor(name, normal([WIDTH, WIDTH], random))),
    });
    const { seen, segments } = await segmentedRun(whole, ["h", "y"], dataOf({ x: normal([5, WIDTH], random) }), 1);
    expect(segments).toEqual([["h"], ["y"]]);
    for (const name of ["h", "y"]) {
      expect(seen.get(name)!.map(({ rows, value }) => [rows, value.shape[0]])).toEqual([
        [2, 2],
        [2, 2],
        [1, 2],
      ]);
    }
  });

  it("sums the same moments, and holds those of one segment at a time", async () => {
    const [whole, data] = [allKinds(), allKindsData()];
    const variables = ["first", "third", "seventh", "y"].map((value) => ({ value, axis: -1, width: WIDTH }));
    const options = { kind: "products", threads: 1 } as const;
    const wanted = await secondMoments(whole, variables, data, options);
    const parts = [];
    for await (const part of momentsBySegment(whole, variables, data, { ...options, segmentBytes: 8 * WIDTH ** 2 })) {
      parts.push(part);
      expect(part.size).toBeLessThanOrEqual(1);
    }
    const found = new Map(parts.flatMap((part) => [...part]));
    expect([...found.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
    for (const [key, { mean, second }] of wanted) {
      // Packed and unpacked weights add up in another order.
      found.get(key)!.mean.forEach((value, at) => expect(value).toBeCloseTo(mean[at], 5));
      found.get(key)!.second.forEach((value, at) => expect(value).toBeCloseTo(second[at], 5));
    }
  });

  it("maps weights of a file, and leaves nothing behind when it is stopped", { timeout: 30_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "lightfoot-calibrate-"));
    const before = process.env.TMPDIR;
    try {
      const path = join(folder, "model.onnx");
      const side = 1536;
      const random = seededRandom(9);
      const large = (name: string): TensorRef => memoryTensor(name, normal([side, side], random));
      await writeOnnx(
        model({
          nodes: ["a", "b", "c"].map((name, at) => node("MatMul", [["x", "h", "i"][at], name], [["h", "i", "y"][at]])),
          inputs: [tensorInfo("x", "float32", ["n", side])],
          outputs: [tensorInfo("y", "float32", undefined)],
          initializers: ["a", "b", "c"].map(large),
        }),
        path,
        { externalData: { thresholdBytes: 1024 } },
      );
      const whole = await readOnnx(path);
      const data = dataOf({ x: normal([3, side], random) });
      const temporary = join(folder, "temporary");
      await mkdir(temporary);
      process.env.TMPDIR = temporary;
      // Two matrices, 18 MiB, are mapped; the last one is small enough for a copy.
      const { seen, segments } = await segmentedRun(whole, ["h", "i", "y"], data, 2 * side * side * 4);
      expect(segments).toEqual([["h", "i"], ["y"]]);
      expect(seen).toEqual(await wholeRun(whole, ["h", "i", "y"], data, [1, 2]));
      expect(await readdir(temporary)).toEqual([]);
      const stop = new AbortController();
      const stopped = watchTensors(whole, ["h", "y"], data, { signal: stop.signal, segmentBytes: 1 }, () =>
        stop.abort(),
      );
      await expect(stopped).rejects.toMatchObject({ code: "E_INTERRUPTED" });
      const failed = watchTensors(whole, ["h", "y"], data, { segmentBytes: 1 }, (name) => {
        if (name === "y") throw new Error("no more");
      });
      await expect(failed).rejects.toThrow("no more");
      expect(await readdir(temporary)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      await rm(folder, { recursive: true });
    }
  });
});
