// What a manifest leaves open and a run therefore assumes; may depend on quantity and the manifest's schema.
import type { Assumption } from "../quantity/figure.ts";
import type { Manifest } from "./manifest-schema.ts";

/** Shown with the result, and refused under `--strict`. */
export function manifestAssumptions({ model, compare, data, train }: Manifest): Assumption[] {
  const assumptions: Assumption[] = [];
  if (data.test === undefined) {
    assumptions.push({
      key: "manifest.no-test-data",
      text: "There is no data.test: the figures come from the validation data that also chose, and flatter the chosen one.",
    });
  }
  if (model.file !== undefined && typeof data.validate !== "string") {
    assumptions.push({
      key: "manifest.validation-unseen",
      text: "The original came as a file: that it was not trained on the samples split off data.train is taken on trust.",
    });
  }
  if (train !== undefined && model.mlp === undefined && compare?.mlp === undefined) {
    assumptions.push({
      key: "manifest.train-for-retraining",
      text: "No model is trained from scratch: of 'train' only epochs, batch and learningRate are used, to retrain narrower candidates on the original's answers.",
    });
  }
  return assumptions;
}
