// Training with a teacher's features: the loss against ONNX Runtime's own values, and what comes to be alike inside; depends on the room and
// vitest.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tensorInfo } from "../model/build.ts";
import type { ModelGraph } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { float32Tensor, int64Tensor } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/random.ts";
import { buildMlp } from "./architecture/mlp.ts";
import { createDataset, type Dataset } from "./sample-set.ts";
import { openSession } from "./session.ts";
import { finishTraining, train } from "./train.ts";
import type { TrainOptions } from "./train-options.ts";

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "lightfoot-features-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Six numbers a sample; the class is the largest of the first three. */
function samples(count: number, seed: number): Dataset {
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: count * 6 }, () => random.normal());
  const labels = Array.from({ length: count }, (_, row) => {
    const first = [...data.subarray(row * 6, row * 6 + 3)];
    return first.indexOf(Math.max(...first));
  });
  return createDataset({
    name: "largest of three",
    inputs: new Map([["input", float32Tensor([count, 6], data)]]),
    labels: int64Tensor([count], labels),
  });
}

const base: TrainOptions = {
  loss: { kind: "cross-entropy" },
  optimizer: { kind: "adam" },
  learningRate: 1e-2,
  epochs: 4,
  batch: 16,
  seed: 7,
  threads: 1,
};

describe("features of a teacher", () => {
  const mlpOf = (seed: number): ModelGraph => buildMlp({ layers: [6, 8, 3], seed });

  /** The hidden layer, after its activation, of every sample, by ONNX Runtime. */
  async function hidden(network: ModelGraph, data: Dataset): Promise<Float32Array> {
    const name = network.graph.nodes.find(({ opType }) => opType === "Relu")!.outputs[0];
    const outputs = [...network.graph.outputs, tensorInfo(name, "float32", undefined)];
    const session = await openSession(await serializeOnnx({ ...network, graph: { ...network.graph, outputs } }));
    const results = await session.run({ input: data.inputs.get("input")! });
    await session.close();
    return results[name].data as Float32Array;
  }

  async function distance(student: ModelGraph, teacher: ModelGraph, data: Dataset): Promise<number> {
    const [ours, theirs] = [await hidden(student, data), await hidden(teacher, data)];
    const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0);
    return squares(ours.map((value, at) => value - theirs[at])) / squares(theirs);
  }

  test.each([1, 4])(
    "are met inside as well, %i steps a call; the loss is what ONNX Runtime's values say",
    async (stepsPerCall) => {
      const data = samples(256, 3);
      const teacher = mlpOf(1);
      const student = mlpOf(2);
      const options = { ...base, loss: { kind: "kl" }, teacher, batch: 64, stepsPerCall, learningRate: 0.01 } as const;
      const features = { weight: 2 };
      const still = { ...options, epochs: 1, learningRate: 0, batch: 256, stepsPerCall: 1 };
      const { history: plain } = await finishTraining(train(student, data, still));
      const { history } = await finishTraining(train(student, data, { ...still, features }));
      expect(history[0].loss - plain[0].loss).toBeCloseTo(2 * (await distance(student, teacher, data)), 4);

      const { model: alike } = await finishTraining(train(student, data, { ...options, epochs: 30, features }));
      const { model: other } = await finishTraining(train(student, data, { ...options, epochs: 30 }));
      const fresh = samples(128, 4);
      expect(await distance(alike, teacher, fresh)).toBeLessThan(0.2 * (await distance(student, teacher, fresh)));
      expect(await distance(alike, teacher, fresh)).toBeLessThan(0.5 * (await distance(other, teacher, fresh)));
    },
  );

  test("go with any loss, a rest of an epoch and validation data; their weight is part of what a checkpoint is of", async () => {
    const data = samples(150, 3);
    const features = { weight: 1 };
    const common = {
      ...base,
      batch: 64,
      epochs: 2,
      teacher: mlpOf(1),
      features,
      validation: samples(40, 3),
    } as const;
    const whole = await finishTraining(train(mlpOf(2), data, common));
    expect(whole.history[1].validationLoss).toBeLessThan(whole.history[0].validationLoss!);
    const checkpoint = { folder: join(folder, "features"), everySteps: 2 };
    let steps = 0;
    const signal = {
      get aborted() {
        return ++steps > 2;
      },
    };
    await expect(
      finishTraining(train(mlpOf(2), data, { ...common, checkpoint, stepsPerCall: 1, signal })),
    ).rejects.toMatchObject({ code: "E_INTERRUPTED" });
    const other = { ...common, features: { weight: 2 }, checkpoint, stepsPerCall: 1, resume: true };
    await expect(finishTraining(train(mlpOf(2), data, other))).rejects.toMatchObject({ code: "E_CHECKPOINT" });
  });

  test("need a teacher, and a weight", async () => {
    const data = samples(32, 3);
    const run = (changes: Partial<TrainOptions>) => finishTraining(train(mlpOf(2), data, { ...base, ...changes }));
    await expect(run({ features: { weight: 1 } })).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(run({ teacher: mlpOf(1) })).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(run({ teacher: mlpOf(1), features: { weight: 0 } })).rejects.toMatchObject({ code: "E_RANGE" });
  });
});
