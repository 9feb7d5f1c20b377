// Choices, confidence and loss against the accuracy metric and softmax by hand, on models that pass their input through; depends on the engine.
import { beforeAll, describe, expect, it } from "vitest";
import { model, node, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { evaluate } from "../evaluate.ts";
import { createDataset, type Dataset } from "../sample-set.ts";
import { chooseClasses } from "./choices.ts";

const COUNT = 60;
let identity: Uint8Array;
let softmax: Uint8Array;

async function single(operator: string, width: number | undefined): Promise<Uint8Array> {
  const shape = width === undefined ? ["N"] : ["N", width];
  const values = { inputs: [tensorInfo("x", "float32", shape)], outputs: [tensorInfo("y", "float32", shape)] };
  return serializeOnnx(model({ ...values, nodes: [node(operator, ["x"], ["y"])] }));
}

beforeAll(async () => {
  identity = await single("Identity", 3);
  softmax = await single("Softmax", 3);
});

function scores(data: Float32Array, shape: number[], labels: Int32Array): Dataset {
  return createDataset({
    name: "scores",
    inputs: new Map([["x", { dtype: "float32", shape, data }]]),
    labels: { dtype: "int32", shape: [labels.length], data: labels },
  });
}

const random = seededRandom(2);
const logits = Float32Array.from({ length: COUNT * 3 }, () => 3 * random.normal());
const labels = Int32Array.from({ length: COUNT }, () => random.integer(3));
const data = scores(logits, [COUNT, 3], labels);

describe("choices of a classifier", () => {
  it("are right where the accuracy metric says so, sure and surprised as softmax by hand", async () => {
    const found = await chooseClasses(identity, data, { batch: 7 });
    const { metrics } = await evaluate(identity, data, { metrics: ["accuracy"] });
    expect(found.reading).toBe("logits");
    expect(found.correct).toEqual(metrics["accuracy"].perSample);
    for (let sample = 0; sample < COUNT; sample++) {
      const powers = Array.from(logits.subarray(sample * 3, sample * 3 + 3), Math.exp);
      const sum = powers[0] + powers[1] + powers[2];
      expect(found.confidence![sample]).toBeCloseTo(powers[found.predicted[sample]] / sum, 6);
      expect(found.loss![sample]).toBeCloseTo(-Math.log(powers[labels[sample]] / sum), 5);
    }
  });

  it("are the same when the model applies softmax itself", async () => {
    const inside = await chooseClasses(softmax, data);
    const outside = await chooseClasses(identity, data);
    expect(inside.reading).toBe("probabilities");
    expect(inside.predicted).toEqual(outside.predicted);
    for (let sample = 0; sample < COUNT; sample++) {
      expect(inside.confidence![sample]).toBeCloseTo(outside.confidence![sample], 5);
    }
    const forced = await chooseClasses(softmax, data, { reading: "logits" });
    expect(forced.reading).toBe("logits");
    expect(forced.confidence![0]).toBeLessThan(inside.confidence![0]);
  });

  it("of a single output go by one half, also without an axis of classes", async () => {
    const one = Float32Array.of(0.2, 0.9, 0.5, Number.NaN);
    const truth = Int32Array.of(0, 0, 1, 1);
    const found = await chooseClasses(await single("Identity", undefined), scores(one, [4], truth));
    expect(found.reading).toBe("probabilities");
    expect([...found.predicted]).toEqual([0, 1, 1, -1]);
    expect([...found.correct]).toEqual([1, 0, 1, 0]);
    expect(found.confidence![0]).toBeCloseTo(0.8, 6);
    expect(found.loss![1]).toBeCloseTo(-Math.log(0.1), 5);
    expect(found.loss![3]).toBe(Infinity);
  });

  it("takes an output that is no number for wrong", async () => {
    const broken = logits.slice();
    broken[1] = Number.NaN;
    const found = await chooseClasses(identity, scores(broken, [COUNT, 3], labels));
    expect([found.predicted[0], found.correct[0], found.confidence![0]]).toEqual([-1, 0, 0]);
  });

  it("refuses models that decide more than once a sample", async () => {
    const pixels = createDataset({
      name: "pixels",
      inputs: new Map([["x", float32Tensor([2, 3], Float32Array.of(0, 1, 1, 0, 1, 1))]]),
      labels: { dtype: "int32", shape: [2, 3], data: new Int32Array(6) },
    });
    await expect(chooseClasses(identity, pixels)).rejects.toMatchObject({ code: "E_METRIC" });
  });
});
