// The perceptron builder: shapes, initialization and that the engine runs it; depends on its room and vitest.
import { expect, test } from "vitest";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/random.ts";
import { openSession } from "../session.ts";
import { fansOf, initialWeights } from "./initialize.ts";
import { buildMlp } from "./mlp.ts";

test("a perceptron runs on any batch and its softmax rows sum to one", async () => {
  const network = buildMlp({ layers: [4, 7, 3], seed: 1 });
  const session = await openSession(await serializeOnnx(network), { threads: 1 });
  for (const batch of [1, 5]) {
    const data = new Float32Array(batch * 4).fill(0.3);
    const { probabilities } = await session.run({ input: float32Tensor([batch, 4], data) });
    expect(probabilities.shape).toEqual([batch, 3]);
    const first = Array.from(probabilities.data as Float32Array).slice(0, 3);
    expect(first.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
  }
  await session.close();
});

test.each(["relu", "tanh", "sigmoid", "gelu"] as const)(
  "the engine knows a perceptron with %s and bare scores",
  async (activation) => {
    const network = buildMlp({ layers: [4, 7, 3], activation, output: "none", seed: 1 });
    const session = await openSession(await serializeOnnx(network), { threads: 1 });
    expect(session.outputs.map(({ name }) => name)).toEqual(["scores"]);
    await session.close();
  },
);

const weights = (seed: number, name = "layer1.weight") =>
  readFloats(buildMlp({ layers: [20, 10], seed }).graph.initializers.get(name)!);

test("the same seed gives the same weights, another seed others, and biases start at zero", async () => {
  expect(await weights(1)).toEqual(await weights(1));
  expect(await weights(1)).not.toEqual(await weights(2));
  expect(await weights(1, "layer1.bias")).toEqual(new Float32Array(10));
});

test.each([
  ["glorot-uniform", 2 / 500],
  ["glorot-normal", 2 / 500],
  ["he-uniform", 2 / 300],
  ["he-normal", 2 / 300],
] as const)("%s draws with the variance of its paper", (scheme, variance) => {
  const values = initialWeights(scheme, 60_000, 300, 200, seededRandom(4));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const found = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(variance / values.length));
  expect(found / variance).toBeGreaterThan(0.97);
  expect(found / variance).toBeLessThan(1.03);
  if (scheme.endsWith("uniform"))
    expect(Math.max(...values.slice(0, 1000))).toBeLessThanOrEqual(Math.sqrt(3 * variance));
});

test("a convolution's fans count the taps of its kernel", () => {
  expect(fansOf([16, 8, 3, 3], false)).toEqual({ fanIn: 72, fanOut: 144 });
  expect(fansOf([784, 128], true)).toEqual({ fanIn: 784, fanOut: 128 });
});

test("a layer without units is refused", () => {
  expect(() => buildMlp({ layers: [4, 0], seed: 1 })).toThrow("found 4-0");
});
