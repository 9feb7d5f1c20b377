// Tests of what a recipe promises to run in int8, against multiply-adds counted by hand; depends on this room.
import { expect, test } from "vitest";
import { promisedInt8Share } from "./promised-int8.ts";
import type { Step } from "./techniques/technique.ts";
import { matMulNet } from "./techniques/test-models.ts";

const inputs = { x: [5, 24] };
/** 24 · 32 and 32 · 6 multiply-adds a row. */
const FIRST = (24 * 32) / (24 * 32 + 32 * 6);
const half: Step = { technique: "half", options: { dtype: "float16" } };
const int8 = (...layers: string[]): Step => {
  return { technique: "static-int8", options: layers.length === 0 ? {} : { layers } };
};

test.each([
  ["nothing without integer arithmetic", [half], 0],
  ["everything where no layer is named", [half, int8()], 1],
  ["the work of the layer that is named, by the output of its bias", [int8("h")], FIRST],
  ["the work of another layer", [int8("y"), half], 1 - FIRST],
  ["both, named by two steps", [int8("h"), { ...int8("y"), technique: "dynamic-int8" }], 1],
] satisfies [string, Step[], number][])("promises %s", async (_name, steps, share) => {
  expect(await promisedInt8Share(matMulNet(["batch", 24]), steps, inputs)).toBeCloseTo(share, 12);
});
