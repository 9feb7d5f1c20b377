// Tests of raising operator sets: the same numbers in ONNX Runtime, or a reason; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { float, int, ints, string } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { Node } from "../../model/graph.ts";
import { net, outputsOf, samplesFor } from "../techniques/test-models.ts";
import { raiseOpset } from "./opset.ts";

const chain = (nodes: readonly Node[], opset: number) => net(["batch", 6], nodes, [], opset);

const CONVERTED: readonly [string, readonly Node[], number][] = [
  ["Clip with attributes", [node("Clip", ["x"], ["y"], { min: float(-0.5), max: float(0.5) })], 7],
  ["Clip with one bound", [node("Clip", ["x"], ["y"], { max: float(0.5) })], 9],
  ["Pad", [node("Pad", ["x"], ["y"], { pads: ints([0, 1, 0, 2]), value: float(3), mode: string("constant") })], 9],
  ["Slice", [node("Slice", ["x"], ["y"], { starts: ints([1]), ends: ints([5]), axes: ints([1]) })], 9],
  ["Split", [node("Split", ["x"], ["y", "rest"], { axis: int(1), split: ints([2, 4]) })], 11],
  [
    "Unsqueeze and Squeeze",
    [node("Unsqueeze", ["x"], ["u"], { axes: ints([1]) }), node("Squeeze", ["u"], ["y"], { axes: ints([1]) })],
    11,
  ],
  ["ReduceSum", [node("ReduceSum", ["x"], ["y"], { axes: ints([1]), keepdims: int(0) })], 11],
  ["Dropout at inference", [node("Dropout", ["x"], ["y"], { ratio: float(0.4) })], 7],
  ["Softmax on the last axis of two", [node("Softmax", ["x"], ["y"])], 11],
];

describe("raiseOpset", () => {
  it.each(CONVERTED)("keeps what the model computes: %s", async (_name, nodes, opset) => {
    const graph = chain(nodes, opset);
    const raised = await raiseOpset(graph, 13);
    if (raised.kind === "refused") throw new Error(raised.reason);
    expect(raised.model.opsets.get("")).toBe(13);
    const data = samplesFor(graph, 4);
    expect(await outputsOf(raised.model, data)).toEqual(await outputsOf(graph, data));
  });

  it("leaves a model alone that is new enough", async () => {
    const graph = chain([node("Relu", ["x"], ["y"])], 15);
    expect(await raiseOpset(graph, 13)).toEqual({ kind: "model", model: graph });
  });

  it.each([
    ["Softmax over several axes", [node("Softmax", ["x"], ["y"], { axis: int(0) })], 11],
    ["an operator that is gone", [node("Upsample", ["x"], ["y"], { mode: string("nearest") })], 7],
    ["Dropout whose mask is used", [node("Dropout", ["x"], ["d", "y"], { ratio: float(0.4) })], 9],
    ["a set older than what is known", [node("Relu", ["x"], ["y"])], 6],
  ] as const)("refuses with a reason: %s", async (_name, nodes, opset) => {
    const raised = await raiseOpset(chain(nodes, opset), 13);
    expect(raised).toMatchObject({ kind: "refused", reason: expect.stringContaining(`operator set ${opset}`) });
  });

  it("finds the rank of a Softmax by shape inference", async () => {
    const onTwo = chain([node("Tanh", ["x"], ["t"]), node("Softmax", ["t"], ["y"])], 11);
    expect((await raiseOpset(onTwo, 13)).kind).toBe("model");
    const onThree = chain(
      [node("Unsqueeze", ["x"], ["t"], { axes: ints([1]) }), node("Softmax", ["t"], ["y"], { axis: int(1) })],
      11,
    );
    expect((await raiseOpset(onThree, 13)).kind).toBe("refused");
  });
});
