// Tests of 16-bit storage: half the bytes, rounding and no more, and weights that would lose their range stay; depends on this folder.
import { describe, expect, it } from "vitest";
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../io/half.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { half, type HalfOptions } from "./half-storage.ts";
import { executedOperators, gemmNet, net, outputsOf, samplesFor, signalToNoise } from "./test-models.ts";

const DTYPES = ["float16", "bfloat16"] as const;
const CODECS = {
  float16: (values: Float32Array) => decodeFloat16(encodeFloat16(values)),
  bfloat16: (values: Float32Array) => decodeBfloat16(encodeBfloat16(values)),
};

async function stored(model: ModelGraph, dtype: HalfOptions["dtype"]) {
  const result = await half(model, { dtype });
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

/** y = x · w with the same number everywhere in w, or another one at one place. */
function product(value: number, other = value): ModelGraph {
  const values = new Float32Array(16 * 16).fill(value);
  values[5] = other;
  return net(["batch", 16], [node("MatMul", ["x", "w"], ["y"])], [memoryTensor("w", float32Tensor([16, 16], values))]);
}

describe("half", () => {
  it.each(DTYPES)("answers as a float32 model whose weights were rounded to %s", async (dtype) => {
    const before = gemmNet();
    const { model, notes } = await stored(before, dtype);
    expect(notes).toEqual([]);
    const rounded = new Map(before.graph.initializers);
    for (const name of ["w1", "w2"]) {
      const tensor = rounded.get(name)!;
      rounded.set(name, memoryTensor(name, float32Tensor(tensor.shape, CODECS[dtype](await readFloats(tensor)))));
    }
    const byHand = { ...before, graph: { ...before.graph, initializers: rounded } };
    const data = samplesFor(before, 20);
    const found = await outputsOf(model, data);
    expect(found).toEqual(await outputsOf(byHand, data));
    expect(signalToNoise(await outputsOf(before, data), found)).toBeGreaterThan(dtype === "float16" ? 60 : 42);
  });

  it.each(DTYPES)("runs in the float kernels, widened once at load: %s", async (dtype) => {
    const executed = await executedOperators((await stored(gemmNet(), dtype)).model);
    expect(executed).not.toHaveProperty("Cast");
    expect(executed).toEqual(await executedOperators(gemmNet()));
  });

  it.each(DTYPES)("halves the weights of a file: %s", async (dtype) => {
    const size = 256;
    const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
    const before = net(
      ["batch", size],
      [node("MatMul", ["x", "w"], ["y"])],
      [memoryTensor("w", float32Tensor([size, size], values))],
    );
    const saved =
      (await serializeOnnx(before)).length - (await serializeOnnx((await stored(before, dtype)).model)).length;
    expect(saved).toBeGreaterThan(size * size * 2 - 100);
  });

  it.each([
    ["a number overflows", product(0.5, 70_000), /'?w'? stays float32: in float16 70000 is beyond its range/],
    ["all numbers are subnormal in it", product(1.1e-7), /too small/],
    ["a number is not finite", product(0.5, Infinity), /beyond its range/],
  ] as const)("keeps a tensor float32 in float16 where %s", async (_name, model, reason) => {
    expect(await half(model, { dtype: "float16" })).toMatchObject({
      kind: "refused",
      reason: expect.stringMatching(reason),
    });
  });

  it("takes both in bfloat16, which has the range of float32", async () => {
    for (const model of [product(0.5, 70_000), product(1.1e-7)]) {
      expect((await stored(model, "bfloat16")).notes).toEqual([]);
    }
  });

  it("does not mind a few numbers that vanish beside larger ones", async () => {
    expect((await stored(product(0.5, 1e-9), "float16")).notes).toEqual([]);
  });
});
