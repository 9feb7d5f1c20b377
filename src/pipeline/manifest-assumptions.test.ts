// Tests of what a manifest leaves to assume.
import { expect, it } from "vitest";
import { manifestAssumptions } from "./manifest-assumptions.ts";
import { parseManifest } from "./manifest.ts";

const known = { hardware: () => {}, where: () => {}, metric: () => {}, technique: () => {}, evidence: () => {} };
const TRAIN = "train: { loss: mse, optimizer: sgd, learningRate: 0.1, epochs: 1, batch: 8 }";
const keys = (model: string, data: string, more = "") =>
  manifestAssumptions(
    parseManifest(
      `model: ${model}\ndata: ${data}\nbudget: { metric: accuracy, maxDrop: 1pt }\ngoal: size\n${more}\n`,
      known,
    ),
  ).map(({ key }) => key);

it("assumes nothing when each purpose has its own data and the model is trained here", () => {
  expect(keys("{ mlp: { layers: [4, 2] } }", "{ train: a.npz, validate: { split: 5 }, test: t.npz }", TRAIN)).toEqual(
    [],
  );
  expect(keys("{ file: net.onnx }", "{ validate: v.npz, test: t.npz }")).toEqual([]);
});

it("says so when test data is missing, a file's training data is unknown, or training settings serve retraining only", () => {
  expect(keys("{ file: net.onnx }", "{ train: a.npz, validate: { split: 5 } }", TRAIN)).toEqual([
    "manifest.no-test-data",
    "manifest.validation-unseen",
    "manifest.train-for-retraining",
  ]);
});
