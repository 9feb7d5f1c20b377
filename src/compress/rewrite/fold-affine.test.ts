// Tests that folded layers answer as before, in ONNX Runtime; depends on this room and the techniques' test models.
import { describe, expect, it } from "vitest";
import { float, int, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { net, outputsOf, randomTensor, samplesFor, signalToNoise } from "../techniques/test-models.ts";
import { GraphDraft } from "./draft.ts";
import { foldAffine } from "./fold-affine.ts";

const random = seededRandom(5);
const pads = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const positive = Float32Array.from({ length: 8 }, () => 0.5 + random.next());
const TENSORS: readonly TensorRef[] = [
  randomTensor("w", [8, 3, 3, 3], random, 0.3),
  randomTensor("b", [8], random),
  randomTensor("scale", [8], random),
  randomTensor("shift", [8], random),
  randomTensor("mean", [8], random),
  memoryTensor("variance", float32Tensor([8], positive)),
  randomTensor("one", [1], random),
  randomTensor("channels", [8, 1, 1], random),
  randomTensor("batched", [1, 8, 1, 1], random),
  randomTensor("columns", [8], random),
];
const norm = (from: string, to: string) =>
  node("BatchNormalization", [from, "scale", "shift", "mean", "variance"], [to]);

const CHAINS: readonly (readonly [string, readonly Node[], number])[] = [
  ["BatchNormalization", [norm("c", "y")], 1],
  [
    "gain and shift of the whole, before and after normalization",
    [node("Mul", ["one", "c"], ["m"]), norm("m", "n"), node("Add", ["n", "one"], ["y"])],
    3,
  ],
  [
    "all four operators with a number a channel",
    [
      node("Sub", ["channels", "c"], ["s"]),
      node("Div", ["s", "batched"], ["d"]),
      node("Add", ["d", "channels"], ["a"]),
      node("Mul", ["a", "batched"], ["y"]),
    ],
    4,
  ],
  ["nothing that is a quotient by the convolution", [node("Div", ["channels", "c"], ["y"])], 0],
  ["nothing that adds along columns", [node("Add", ["c", "columns"], ["y"])], 0],
  ["nothing that something else reads before", [norm("c", "n"), node("Add", ["n", "c"], ["y"])], 0],
];

describe("foldAffine", () => {
  it.each(CHAINS)("folds %s", async (_name, chain, operators) => {
    for (const inputs of [
      ["x", "w", "b"],
      ["x", "w"],
    ]) {
      const graph = net(["batch", 3, 8, 8], [node("Conv", inputs, ["c"], pads), ...chain], TENSORS);
      const draft = new GraphDraft(graph);
      const { count, renamed } = await foldAffine(draft);
      expect(count).toBe(operators);
      expect([...renamed]).toEqual(operators === 0 ? [] : [["c", "y"]]);
      expect(draft.nodes).toHaveLength(1 + chain.length - operators);
      const data = samplesFor(graph, 4);
      expect(signalToNoise(await outputsOf(graph, data), await outputsOf(draft.finish(), data))).toBeGreaterThan(100);
    }
  });

  it("folds what follows a Gemm, its own factors kept", async () => {
    const attributes = { transB: int(1), alpha: float(0.5), beta: float(3) };
    const nodes = [
      node("Gemm", ["x", "square", "b"], ["c"], attributes),
      node("Mul", ["columns", "c"], ["m"]),
      norm("m", "n"),
      node("Sub", ["n", "one"], ["y"]),
    ];
    const graph = net(["batch", 8], nodes, [...TENSORS, randomTensor("square", [8, 8], random)]);
    const draft = new GraphDraft(graph);
    expect((await foldAffine(draft)).count).toBe(3);
    expect(draft.nodes.map(({ opType }) => opType)).toEqual(["Gemm"]);
    const data = samplesFor(graph, 4);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(draft.finish(), data))).toBeGreaterThan(100);
  });

  it("leaves weights that others read too, unless they may be stored apart", async () => {
    const nodes = [
      node("Conv", ["x", "w"], ["c"], pads),
      norm("c", "n"),
      node("Conv", ["x", "w"], ["d"], pads),
      node("Add", ["n", "d"], ["y"]),
    ];
    const graph = net(["batch", 3, 8, 8], nodes, TENSORS);
    expect((await foldAffine(new GraphDraft(graph))).count).toBe(0);
    const draft = new GraphDraft(graph);
    expect((await foldAffine(draft, { splitShared: true })).count).toBe(1);
    const data = samplesFor(graph, 4);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(draft.finish(), data))).toBeGreaterThan(100);
  });

  it("folds only the operators that are asked for", async () => {
    const nodes = [node("Conv", ["x", "w"], ["c"], pads), norm("c", "n"), node("Mul", ["n", "one"], ["y"])];
    const draft = new GraphDraft(net(["batch", 3, 8, 8], nodes, TENSORS));
    expect((await foldAffine(draft, { operators: ["BatchNormalization"] })).count).toBe(1);
    expect(draft.nodes.map(({ opType }) => opType)).toEqual(["Conv", "Mul"]);
  });
});
