// Which tensors are trained by default and by pattern; depends on its room and vitest.
import { expect, test } from "vitest";
import { node } from "../../model/build.ts";
import type { TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { chooseTrainable, matchesPattern } from "./trainable.ts";

const tensor = (name: string, values: readonly number[]): [string, TensorRef] => [
  name,
  memoryTensor(name, float32Tensor([values.length], Float32Array.from(values))),
];

const nodes = [
  node("Conv", ["x", "conv.w", "conv.b"], ["c"]),
  node("BatchNormalization", ["c", "bn.scale", "bn.bias", "bn.mean", "bn.var"], ["n"]),
  node("Transpose", ["kernel"], ["kernel.t"]),
  node("MatMul", ["n", "kernel.t"], ["m"]),
  node("Add", ["m", "bias"], ["b"]),
  node("Mul", ["b", "half"], ["h"]),
  node("Add", ["h", "mask"], ["a"]),
  node("Pow", ["a", "two"], ["p"]),
];
const initializers = new Map([
  ...["conv.w", "conv.b", "bn.scale", "bn.bias", "bn.mean", "bn.var", "kernel"].map((name) => tensor(name, [1, 2])),
  tensor("bias", [0.5]),
  tensor("half", [0.5]),
  tensor("two", [2, 2]),
  tensor("mask", [0, -Infinity]),
]);

test("by default parameters are trained, and factors, exponents, masks and statistics are not", async () => {
  const chosen = await chooseTrainable(nodes, initializers);
  expect([...chosen].sort()).toEqual(["bias", "bn.bias", "bn.scale", "conv.b", "conv.w", "kernel"]);
});

test("patterns choose, patterns with ! take out, and running statistics cannot be chosen", async () => {
  expect([...(await chooseTrainable(nodes, initializers, ["bn.*"]))].sort()).toEqual(["bn.bias", "bn.scale"]);
  expect([...(await chooseTrainable(nodes, initializers, ["*", "!bn.*", "!conv.?"]))].sort()).toEqual([
    "bias",
    "half",
    "kernel",
    "mask",
    "two",
  ]);
  expect([...(await chooseTrainable(nodes, initializers, ["!*b*"]))].sort()).toEqual(["conv.w", "kernel"]);
});

test("a pattern that matches nothing is refused with the names there are", async () => {
  await expect(chooseTrainable(nodes, initializers, ["head.*"])).rejects.toMatchObject({
    code: "E_GRADIENT",
    hint: expect.stringContaining("conv.w"),
  });
});

test("dots and brackets in a pattern are themselves", () => {
  expect(matchesPattern("a.b[0]*", "a.b[0].w")).toBe(true);
  expect(matchesPattern("a.b", "axb")).toBe(false);
});
