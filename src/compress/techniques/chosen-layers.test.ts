// Tests that every layer-wise technique changes the layers it was told to and no other; depends on this folder.
import { describe, expect, it } from "vitest";
import { readFloats } from "../../model/tensor-data.ts";
import { TECHNIQUES } from "./registry.ts";
import type { OptionValue } from "./technique.ts";
import { contextWith, gemmNet, samplesFor } from "./test-models.ts";

const graph = gemmNet();
const context = contextWith({ calibration: samplesFor(graph, 32) });

const LAYER_WISE: readonly [string, Record<string, OptionValue>][] = [
  ["half", { dtype: "float16" }],
  ["dynamic-int8", { activations: "tensor" }],
  ["dynamic-int8", { activations: "token" }],
  ["static-int8", { range: "minmax", form: "qdq", biasCorrection: true, samples: 32 }],
  ["weight-int8", {}],
  ["weight-blocks", { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 }],
];

describe("the option layers", () => {
  it.each(LAYER_WISE)("limits %s %j to the layer it names", async (name, options) => {
    const result = await TECHNIQUES[name](graph, { ...options, layers: ["y"] }, context);
    if (result.kind === "refused") throw new Error(result.reason);
    const { initializers } = result.model.graph;
    expect(initializers.has("w2")).toBe(false);
    expect(await readFloats(initializers.get("w1")!)).toEqual(await readFloats(graph.graph.initializers.get("w1")!));
  });

  it.each(LAYER_WISE)("refuses a name that is no layer in %s %j", async (name, options) => {
    const attempt = async (layers: OptionValue) => TECHNIQUES[name](graph, { ...options, layers }, context);
    await expect(attempt(["r"])).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(attempt("y")).rejects.toMatchObject({ code: "E_USAGE" });
  });
});
