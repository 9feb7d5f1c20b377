// Tests that biases handed on leave the answers as they were, in ONNX Runtime; depends on this room and the techniques' test models.
import { describe, expect, it } from "vitest";
import { float, int, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { Node } from "../../model/graph.ts";
import { seededRandom } from "../../statistics/index.ts";
import { net, outputsOf, randomTensor, samplesFor, signalToNoise } from "../techniques/test-models.ts";
import { GraphDraft } from "./draft.ts";
import { handOnBiases } from "./hand-on-bias.ts";

const random = seededRandom(6);
const TENSORS = [
  randomTensor("w1", [4, 3, 3, 3], random, 0.3),
  randomTensor("b1", [4], random),
  randomTensor("w2", [6, 4, 3, 3], random, 0.3),
  randomTensor("grouped", [6, 2, 3, 3], random, 0.3),
  randomTensor("b2", [6], random),
  randomTensor("w3", [24, 5], random, 0.3),
  randomTensor("turned", [5, 24], random, 0.3),
  randomTensor("b3", [5], random),
];
const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
const first = node("Conv", ["x", "w1", "b1"], ["c1"]);
const pool1 = node("MaxPool", ["c1"], ["p1"], pool);
const second = node("Conv", ["p1", "w2", "b2"], ["c2"]);
const toDense = [node("MaxPool", ["c2"], ["p2"], pool), node("Flatten", ["p2"], ["f"])];
const gemm = node("Gemm", ["f", "w3", "b3"], ["y"]);
const net12 = (nodes: readonly Node[]) => net(["batch", 3, 14, 14], nodes, TENSORS);

const GRAPHS: readonly (readonly [string, readonly Node[], number])[] = [
  ["through pools and Flatten into a Gemm, one by one", [first, pool1, second, ...toDense, gemm], 2],
  [
    "into a Gemm that turns and scales its weights",
    [
      first,
      pool1,
      second,
      ...toDense,
      node("Gemm", ["f", "turned", "b3"], ["y"], { transB: int(1), alpha: float(0.5) }),
    ],
    2,
  ],
  [
    "into a MatMul and its Add",
    [first, pool1, second, ...toDense, node("MatMul", ["f", "w3"], ["m"]), node("Add", ["m", "b3"], ["y"])],
    2,
  ],
  ["only where the next layer has a bias", [first, pool1, second, ...toDense, node("MatMul", ["f", "w3"], ["y"])], 1],
  [
    "not through what is not linear in them",
    [first, node("Relu", ["c1"], ["r"]), node("Conv", ["r", "w2", "b2"], ["y"])],
    0,
  ],
  ["not into padding", [first, node("Conv", ["c1", "w2", "b2"], ["y"], { pads: ints([1, 1, 1, 1]) })], 0],
  ["not into groups", [first, node("Conv", ["c1", "grouped", "b2"], ["y"], { group: int(2) })], 0],
  [
    "not where something else reads the channels",
    [
      first,
      node("Conv", ["c1", "w2", "b2"], ["c2"]),
      node("Shape", ["c1"], ["s"]),
      node("ConstantOfShape", ["s"], ["z"]),
      node("ReduceSum", ["z"], ["t"]),
      node("Add", ["c2", "t"], ["y"]),
    ],
    0,
  ],
  [
    "not into a bias that another layer reads",
    [
      first,
      node("Conv", ["c1", "w2", "b2"], ["c2"]),
      node("Relu", ["c2"], ["r"]),
      node("Flatten", ["r"], ["f"]),
      node("ReduceSum", ["b2"], ["t"]),
      node("Add", ["f", "t"], ["y"]),
    ],
    0,
  ],
];

describe("handOnBiases", () => {
  it.each(GRAPHS)("hands them on %s", async (_name, nodes, gone) => {
    const graph = net12(nodes);
    const draft = new GraphDraft(graph);
    expect(await handOnBiases(draft)).toBe(gone);
    expect(draft.nodes.filter(({ opType, inputs }) => opType === "Conv" && inputs.length === 2)).toHaveLength(gone);
    const data = samplesFor(graph, 4);
    const after = draft.finish();
    expect(after.graph.initializers.has("b1")).toBe(gone === 0);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(after, data))).toBeGreaterThan(100);
  });
});
