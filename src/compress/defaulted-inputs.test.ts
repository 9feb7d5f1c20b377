// Tests of the note on inputs that lose their default; depends on model and this room.
import { expect, test } from "vitest";
import { model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph } from "../model/graph.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/index.ts";
import { lostDefaults } from "./defaulted-inputs.ts";
import { half } from "./techniques/half-storage.ts";
import { packed } from "./techniques/packed.ts";
import type { TechniqueResult } from "./techniques/technique.ts";

const random = seededRandom(1);

function withDefault(irVersion: number): ModelGraph {
  const values = Float32Array.from({ length: 400 }, () => Math.fround(random.integer(4)));
  return model(
    {
      nodes: [node("MatMul", ["x", "w"], ["y"])],
      inputs: [tensorInfo("x", "float32", ["batch", 20]), tensorInfo("w", "float32", [20, 20])],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers: [memoryTensor("w", float32Tensor([20, 20], values))],
    },
    17,
    { irVersion },
  );
}

const modelOf = (result: TechniqueResult): ModelGraph => {
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
};

test("techniques that make a default constant are told on, once", async () => {
  const before = withDefault(8);
  const note = ["1 input with a default value became constant"];
  expect(lostDefaults(before, modelOf(await half(before, { dtype: "float16" })))).toEqual(note);
  expect(lostDefaults(before, modelOf(await packed(before)))).toEqual(note);
  expect(lostDefaults(before, before)).toEqual([]);
});

test("before IR 4 every constant was an input too: nothing is lost", async () => {
  const before = withDefault(3);
  expect(lostDefaults(before, modelOf(await packed(before)))).toEqual([]);
});
