// Tests of finding and taking out hidden neurons; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { node, tensorInfo } from "../../model/build.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { seededRandom } from "../../statistics/index.ts";
import {
  gemmNet,
  matMulNet,
  net,
  outputsOf,
  randomTensor,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "../techniques/test-models.ts";
import { GraphDraft } from "./draft.ts";
import { findHiddenUnits, importanceOf, keepNeurons, mostImportant } from "./hidden-units.ts";

const NETS = [
  ["Gemm", gemmNet()],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
] as const;

describe("keepNeurons", () => {
  it.each(NETS)("changes nothing but the order of sums when all stay: %s", async (_name, graph) => {
    const [units] = findHiddenUnits(new GraphDraft(graph));
    expect(units.width).toBe(32);
    const same = await keepNeurons(graph, [{ units, kept: Array.from({ length: 32 }, (_, at) => at) }]);
    const data = samplesFor(graph, 10);
    expect(await outputsOf(same, data)).toEqual(await outputsOf(graph, data));
  });

  it.each(NETS)("leaves out exactly the contribution of the neurons taken out: %s", async (_name, graph) => {
    const [units] = findHiddenUnits(new GraphDraft(graph));
    const kept = Array.from({ length: 32 }, (_, at) => at).filter((at) => at % 3 !== 0);
    const smaller = await keepNeurons(graph, [{ units, kept }]);
    // The same, by silencing: the weights that read the dropped neurons become zero.
    const draft = new GraphDraft(graph);
    const [{ weight }] = units.consumers;
    const values = await readFloats(weight);
    for (let row = 0; row < 32; row += 3) values.fill(0, row * 6, row * 6 + 6);
    draft.setInitializer({
      ...weight,
      data: { kind: "memory", bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
    });
    const data = samplesFor(graph, 10);
    const [silenced, cut] = [await outputsOf(draft.finish(), data), await outputsOf(smaller, data)];
    expect(signalToNoise(silenced, cut)).toBeGreaterThan(100);
  });

  it("shrinks two rows that share a weight between them", async () => {
    const random = seededRandom(4);
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
    const rows = findHiddenUnits(new GraphDraft(graph));
    expect(rows.map(({ width }) => width)).toEqual([8, 12]);
    const smaller = await keepNeurons(
      graph,
      rows.map((units) => ({ units, kept: [0, 2, 5] })),
    );
    expect([...smaller.graph.initializers.values()].map(({ shape }) => shape)).toEqual([
      [10, 3],
      [3, 3],
      [3, 4],
    ]);
    expect(await outputsOf(smaller, samplesFor(smaller, 2))).toHaveLength(8);
  });
});

describe("findHiddenUnits", () => {
  const random = seededRandom(4);
  const weights = [randomTensor("w1", [10, 10], random), randomTensor("w2", [10, 10], random)];
  const between = (nodes: Parameters<typeof net>[1]) =>
    findHiddenUnits(new GraphDraft(net(["batch", 10], nodes, weights)));
  const ends = [node("MatMul", ["x", "w1"], ["a"]), node("MatMul", ["b", "w2"], ["y"])] as const;

  it("refuses a row that something else sees by neuron", () => {
    expect(between([ends[0], node("Softmax", ["a"], ["b"]), ends[1]])).toEqual([]);
    expect(between([ends[0], node("Add", ["a", "x"], ["b"]), ends[1]])).toEqual([]);
  });

  it("refuses a row that is an output, and a weight that two layers share", () => {
    const graph = net(["batch", 10], [ends[0], node("Relu", ["a"], ["b"]), ends[1]], weights);
    const exposed = {
      ...graph,
      graph: { ...graph.graph, outputs: [...graph.graph.outputs, tensorInfo("b", "float32", undefined)] },
    };
    expect(findHiddenUnits(new GraphDraft(graph))).toHaveLength(1);
    expect(findHiddenUnits(new GraphDraft(exposed))).toEqual([]);
    expect(between([ends[0], node("Relu", ["a"], ["b"]), node("MatMul", ["b", "w1"], ["y"])])).toEqual([]);
  });
});

describe("mostImportant", () => {
  it("keeps the neurons that speak loudest to the next layer, in their order, ties to the earlier", async () => {
    expect(mostImportant(Float64Array.of(1, 3, 3, 0, 2), 3)).toEqual([1, 2, 4]);
    expect(mostImportant(Float64Array.of(1, 1, 1), 2)).toEqual([0, 1]);
    const [units] = findHiddenUnits(new GraphDraft(gemmNet()));
    const silent = await importanceOf(units, new Float64Array(32).fill(1).fill(0, 4, 8));
    expect(mostImportant(silent, 28).some((neuron) => neuron >= 4 && neuron < 8)).toBe(false);
  });
});
