// Tests of coupled cuts: the smaller model answers like the whole one whose cut units are silenced; depends on this folder and runtime.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { int, ints } from "../../model/attributes.ts";
import { node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  convNet,
  gemmNet,
  matMulNet,
  net,
  outputsOf,
  randomTensor,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "../techniques/test-models.ts";
import { findCoupling, type Coupling } from "./coupling.ts";
import { cutUnits } from "./cut.ts";
import { findRows, type Row } from "./rows.ts";
import { NetBuilder, randomConvNet, transformerBlock, type BlockOptions } from "./test-nets.ts";

/** Every third unit of each row, the first row's first unit included; one stays on each axis. */
function someUnits(coupling: Coupling, rows: readonly Row[], seed: number): number[] {
  const random = seededRandom(seed);
  const gone = rows.flatMap(({ units }) => units.filter(() => random.next() < 0.4).slice(0, units.length - 1));
  const roots = new Set(gone.map((unit) => coupling.atoms.find(unit)));
  for (const { axes } of rows) {
    for (const axis of axes) {
      if ([...axis].every((atom) => roots.has(coupling.atoms.find(atom)))) roots.delete(coupling.atoms.find(axis[0]));
    }
  }
  return [...roots];
}

/** The independent way to take units out: zeros in all weights that read them, at full size. */
async function silenced(coupling: Coupling, gone: readonly number[]): Promise<ModelGraph> {
  const roots = new Set(gone);
  const draft = new GraphDraft(coupling.model);
  for (const { weight, weightAxis, atoms } of coupling.contractions) {
    const tensor: TensorRef = draft.initializer(weight)!;
    const inner = elementCount(tensor.shape.slice(weightAxis + 1));
    const values = (await readFloats(tensor)).map((value, at) => {
      const position = Math.floor(at / inner) % tensor.shape[weightAxis];
      return roots.has(coupling.atoms.find(atoms[position])) ? 0 : value;
    });
    draft.setInitializer(memoryTensor(weight, float32Tensor(tensor.shape, values)));
  }
  return draft.finish();
}

async function checkCut(graph: ModelGraph, seed: number): Promise<{ cut: ModelGraph; rows: readonly Row[] }> {
  const coupling = await findCoupling(graph);
  const { rows } = findRows(coupling);
  const gone = someUnits(coupling, rows, seed);
  const cut = cutUnits(coupling, gone);
  const data = samplesFor(graph, 4);
  const [wanted, found] = [await outputsOf(await silenced(coupling, gone), data), await outputsOf(cut, data)];
  expect(found.length).toBe(wanted.length);
  expect(signalToNoise(wanted, found)).toBeGreaterThan(80);
  if (gone.length > 0) {
    const [before, after] = [await analyze(graph), await analyze(cut)];
    expect(after.macs).toBeLessThan(before.macs);
  }
  return { cut, rows };
}

describe("cutUnits", () => {
  it.each([
    ["Gemm", gemmNet()],
    ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
    ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
    ["residual convolutions", convNet()],
  ] as const)("answers like the whole model with the units silenced: %s", async (_name, graph) => {
    expect((await checkCut(graph, 3)).rows.length).toBeGreaterThan(0);
  });

  it("does so for random convolutional nets with branches, sums, groups, gates and splits", async () => {
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (seed) => {
      expect((await checkCut(randomConvNet(seed), seed)).rows.length).toBeGreaterThan(0);
    });
    await fc.assert(property, { seed: 11, numRuns: 25 });
  });

  it("does so at operator set 9, where sizes stand in attributes and are read through casts", async () => {
    const b = new NetBuilder(3);
    const wide = b.conv("x", [3, 16]);
    const halves = [0, 8].map((start) =>
      b.op("Slice", [wide], { starts: ints([start]), ends: ints([start + 8]), axes: ints([1]) }),
    );
    const gated = b.op("Mul", [halves[0], b.op("Sigmoid", [halves[1]])]);
    const samples = b.op("Slice", [b.op("Cast", [b.op("Shape", [gated])], { to: int(7) })], {
      starts: ints([0]),
      ends: ints([1]),
    });
    const mixed = b.op("Reshape", [b.op("MaxPool", [gated], { kernel_shape: ints([6, 6]) }), b.integers([-1, 8])]);
    const read = b.op("Mul", [mixed, b.op("Cast", [samples], { to: int(1) })]);
    const graph = b.done(b.op("Gemm", [read, b.weight([8, 4], 0.3), b.weight([4])]), ["batch", 3, 6, 6], 9);
    const { rows } = await checkCut(graph, 3);
    // The halves meet channel by channel, so that each unit is two channels.
    expect(rows.map(({ kind, units }) => [kind, units.length])).toEqual([["channels", 8]]);
  });

  it("changes nothing when all units stay", async () => {
    const graph = randomConvNet(5);
    const coupling = await findCoupling(graph);
    const same = cutUnits(coupling, []);
    const data = samplesFor(graph, 4);
    expect(await outputsOf(same, data)).toEqual(await outputsOf(graph, data));
    expect(same.graph.initializers.size).toBe(coupling.model.graph.initializers.size);
  });
});

const BLOCK: BlockOptions = {
  heads: 4,
  keyHeads: 4,
  headWidth: 8,
  hidden: 48,
  gated: false,
  fused: false,
  computedShapes: false,
};

describe("attention", () => {
  it.each([
    ["plain", BLOCK, 4],
    ["shapes computed from the input", { ...BLOCK, computedShapes: true }, 4],
    ["gated feed-forward", { ...BLOCK, gated: true }, 4],
    ["query, key and value in one product", { ...BLOCK, fused: true }, 4],
    ["two query heads to a key head", { ...BLOCK, keyHeads: 2 }, 2],
  ] as const)("loses whole heads and feed-forward units: %s", async (_name, options, units) => {
    const { rows } = await checkCut(transformerBlock(options), 2);
    expect(rows.map(({ kind }) => kind).sort()).toEqual(["heads", "neurons"]);
    expect(rows.find(({ kind }) => kind === "heads")?.units).toHaveLength(units);
    expect(rows.find(({ kind }) => kind === "neurons")?.units).toHaveLength(48);
  });
});

describe("findRows", () => {
  const random = seededRandom(4);
  const weights = [randomTensor("w1", [10, 10], random), randomTensor("w2", [10, 10], random)];
  const between = async (nodes: Parameters<typeof net>[1]) =>
    findRows(await findCoupling(net(["batch", 10], nodes, weights)));
  const ends = [node("MatMul", ["x", "w1"], ["a"]), node("MatMul", ["b", "w2"], ["y"])] as const;

  it("leaves rows that something else sees, with the reason", async () => {
    const seen = async (between_: Parameters<typeof net>[1]) =>
      (await between(between_)).left.map(({ reason }) => reason);
    expect(await seen([ends[0], node("Softmax", ["a"], ["b"]), ends[1]])).toContainEqual(
      expect.stringContaining("Softmax"),
    );
    expect(await seen([ends[0], node("Add", ["a", "x"], ["b"]), ends[1]])).toContainEqual(
      expect.stringContaining("Add"),
    );
    expect(await seen([ends[0], node("Unknown", ["a"], ["b"]), ends[1]])).toContainEqual(
      "Unknown → b (Unknown) reads it",
    );
    expect(await seen([ends[0], node("Relu", ["a"], ["b"]), ends[1]])).toEqual(["it is an output of the model"]);
  });

  it("leaves a row that is an output, and one whose weights also make the output", async () => {
    const graph = net(["batch", 10], [ends[0], node("Relu", ["a"], ["b"]), ends[1]], weights);
    const exposed = {
      ...graph,
      graph: { ...graph.graph, outputs: [...graph.graph.outputs, tensorInfo("b", "float32", undefined)] },
    };
    expect(findRows(await findCoupling(graph)).rows).toHaveLength(1);
    expect(findRows(await findCoupling(exposed)).rows).toEqual([]);
    const tied = [ends[0], node("Relu", ["a"], ["b"]), node("MatMul", ["b", "w1"], ["y"])];
    expect((await between(tied)).rows).toEqual([]);
  });

  it("names the layers by their outputs and keeps rows in order", async () => {
    const graph = net(
      ["batch", 10],
      [
        node("MatMul", ["x", "w1"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("MatMul", ["b", "w2"], ["c"]),
        node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["c", "s"], ["d"]),
        node("MatMul", ["d", "w3"], ["y"]),
      ],
      [randomTensor("w1", [10, 8], random), randomTensor("w2", [8, 12], random), randomTensor("w3", [12, 4], random)],
    );
    const { rows } = findRows(await findCoupling(graph));
    expect(rows.map(({ layers, units }) => [layers, units.length])).toEqual([
      [["a"], 8],
      [["c"], 12],
    ]);
  });
});
