// Tests of reading fewer inputs: what others tell already is left out without loss; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { node } from "../../model/build.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { seededRandom } from "../../statistics/index.ts";
import { fewerInputs } from "./fewer-inputs.ts";
import { narrow } from "./narrow.ts";
import { TECHNIQUES } from "./registry.ts";
import {
  contextWith,
  convNet,
  gemmNet,
  net,
  outputsOf,
  randomTensor,
  samplesFor,
  signalToNoise,
} from "./test-models.ts";

const context = (calibration: Dataset | undefined) => contextWith({ calibration });

/** Two layers that read one input of 40, of which only 10 numbers are free: each stands in four places, scaled and shifted. */
function quadruples() {
  const random = seededRandom(3);
  const graph = net(
    ["batch", 40],
    [
      node("Gemm", ["x", "w1", "b1"], ["h"]),
      node("Gemm", ["x", "w2", "b2"], ["g"]),
      node("Sigmoid", ["g"], ["s"]),
      node("Mul", ["h", "s"], ["y"]),
    ],
    [
      randomTensor("w1", [40, 24], random, 0.2),
      randomTensor("b1", [24], random),
      randomTensor("w2", [40, 24], random, 0.2),
      randomTensor("b2", [24], random),
    ],
  );
  const [scales, shifts] = [0, 1].map(() => Array.from({ length: 40 }, () => random.normal()));
  const samples = (seed: number) => {
    const draw = seededRandom(seed);
    const data = new Float32Array(300 * 40);
    for (let row = 0; row < 300; row++) {
      const free = Array.from({ length: 10 }, () => draw.normal());
      for (let at = 0; at < 40; at++) data[row * 40 + at] = scales[at] * free[at % 10] + shifts[at];
    }
    return createDataset({ name: "quadruples", inputs: new Map([["x", float32Tensor([300, 40], data)]]) });
  };
  return { graph, samples };
}

describe("fewerInputs", () => {
  it("leaves out what others tell already, without loss, for all layers that read it", async () => {
    const { graph, samples } = quadruples();
    const result = await fewerInputs(graph, { ratio: 0.25 }, context(samples(5)));
    if (result.kind === "refused") throw new Error(result.reason);
    expect(result.notes.join()).toContain("inputs 40 → 10");
    for (const name of ["w1", "w2"]) expect(result.model.graph.initializers.get(name)!.shape).toEqual([10, 24]);
    const data = samples(6);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(result.model, data))).toBeGreaterThan(60);
    expect((await analyze(result.model)).macs).toBeLessThan((await analyze(graph)).macs);
  });

  it("is part of narrowing where it is asked for, and no hindrance where there is nothing to leave out", async () => {
    const { graph, samples } = quadruples();
    const narrowed = await TECHNIQUES["narrow"](graph, { ratio: 0.5, inputs: 0.25 }, context(samples(5)));
    if (narrowed.kind === "refused") throw new Error(narrowed.reason);
    expect(narrowed.notes.join()).toContain("inputs 40 → 10");
    const dense = gemmNet();
    const result = await narrow(dense, { ratio: 0.5, inputs: 0.25 }, context(samplesFor(dense, 100)));
    if (result.kind === "refused") throw new Error(result.reason);
    expect(result.model.graph.initializers.get("w1")!.shape).toEqual([24, 16]);
    await expect(narrow(dense, { ratio: 0.5, layers: ["elsewhere"] }, context(undefined))).rejects.toThrow("elsewhere");
  });

  it("leaves neurons, channels and pixels of planes to others, and says when there is nothing", async () => {
    const graph = convNet();
    const result = await fewerInputs(graph, { ratio: 0.5 }, context(samplesFor(graph, 20)));
    expect(result).toMatchObject({ kind: "refused", reason: expect.stringContaining("no dense layer") as string });
    expect(await fewerInputs(graph, { ratio: 0.5 }, context(undefined))).toMatchObject({ kind: "refused" });
  });
});
