// Tests of what is computed once, at load: chains of constants; rebuilt weights count, filled tensors do not; depends on this folder.
import { describe, expect, it } from "vitest";
import { int } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../model/graph.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor, int64Tensor } from "../model/tensor-value.ts";
import { analyze } from "./analyze.ts";
import { foldedAtLoad } from "./load-time.ts";

const numbers = (name: string, ...values: number[]): TensorRef =>
  memoryTensor(name, int64Tensor([values.length], values));
const floats = (name: string, count: number): TensorRef =>
  memoryTensor(name, float32Tensor([count], new Float32Array(count)));

/** y = x [2, 3] · weight [3, 4], with the nodes that make the weight. */
function product(nodes: readonly Node[], initializers: readonly TensorRef[]): ModelGraph {
  return model({
    nodes: [...nodes, node("MatMul", ["x", "weight"], ["y"])],
    inputs: [tensorInfo("x", "float32", [2, 3])],
    outputs: [tensorInfo("y", "float32", [2, 4])],
    initializers,
  });
}

describe("what is folded at load", () => {
  const scattered = product(
    [
      node("ConstantOfShape", ["size"], ["zeros"]),
      node("ScatterElements", ["zeros", "places", "values"], ["row"], { axis: int(0) }),
      node("Reshape", ["row", "shape"], ["weight"]),
    ],
    [numbers("size", 12), numbers("places", 1, 7), floats("values", 2), numbers("shape", 3, 4)],
  );

  it("costs an inference nothing, and counts as the weights that come of it", async () => {
    const { parameters, macs, byNode, weightBytes } = await analyze(scattered);
    expect(byNode.map(({ executions }) => executions)).toEqual([0, 0, 0, 1]);
    expect([parameters, macs]).toEqual([12, 24]);
    // 2 values of 4 bytes, and 1 + 2 + 2 numbers of 8.
    expect(weightBytes).toBe(8 + 40);
    expect(byNode[3].parameters).toBe(12);
  });

  it("is no weight where it only fills or moves what is stored", async () => {
    const filled = product([node("ConstantOfShape", ["shape"], ["weight"])], [numbers("shape", 3, 4)]);
    expect((await analyze(filled)).parameters).toBe(0);
    const moved = product(
      [node("Reshape", ["stored", "shape"], ["weight"])],
      [floats("stored", 12), numbers("shape", 3, 4)],
    );
    expect((await analyze(moved)).parameters).toBe(12);
  });

  it("is nothing that reads an input, draws numbers, or dequantizes what kernels read as integers", () => {
    const nodes = [
      node("Add", ["x", "c"], ["a"]),
      node("Mul", ["a", "c"], ["b"]),
      node("RandomNormalLike", ["c"], ["r"]),
      node("DequantizeLinear", ["q", "c"], ["d"]),
      node("Relu", ["d"], ["e"]),
      node("Neg", ["c"], ["n"]),
    ];
    const folded = foldedAtLoad({ nodes, initializers: new Map(["c", "q"].map((name) => [name, floats(name, 1)])) });
    expect([...folded].map(({ opType }) => opType)).toEqual(["Neg"]);
  });
});
