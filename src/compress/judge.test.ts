// Tests of the judge against both models evaluated by hand, with labels and without; depends on runtime and the techniques' test models.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { node } from "../model/build.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { createDataset, type Dataset } from "../runtime/dataset.ts";
import { evaluate } from "../runtime/evaluate.ts";
import { seededRandom } from "../statistics/index.ts";
import { Judge } from "./judge.ts";
import { gemmNet, net, samplesFor } from "./techniques/test-models.ts";
import { weightOnlyColumns } from "./techniques/weight-columns.ts";

const COUNT = 300;
let folder: string;
let [original, candidate, pairs] = ["", "", ""];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-judge-"));
  [original, candidate, pairs] = ["original", "candidate", "pairs"].map((name) => join(folder, `${name}.onnx`));
  await writeOnnx(gemmNet(), original);
  const result = await weightOnlyColumns(gemmNet());
  if (result.kind === "refused") throw new Error(result.reason);
  await writeOnnx(result.model, candidate);
  // y = x·xᵀ: how many columns it has depends on how many samples ran together.
  const nodes = [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["y"])];
  await writeOnnx(net(["batch", 24], nodes, []), pairs);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function labelled(): Dataset {
  const random = seededRandom(4);
  const labels = Int32Array.from({ length: COUNT }, () => random.integer(6));
  const { inputs } = samplesFor(gemmNet(), COUNT);
  return createDataset({ name: "labelled", inputs, labels: { dtype: "int32", shape: [COUNT], data: labels } });
}

const judgeOf = (model: string, data: Dataset, metric: string) => {
  const budget = { metric, maxDrop: { kind: "relative", value: 5 } as const };
  return new Judge({ model, budget, data: { validation: data }, threads: 1, seed: 3 });
};

describe("Judge", () => {
  it("refuses an original that answers NaN: every candidate would hold every budget", async () => {
    const data = labelled();
    const input = data.inputs.get("x")!;
    (input.data as Float32Array)[7 * 24 + 3] = Number.NaN;
    await expect(judgeOf(original, data, "accuracy").original("validation")).rejects.toMatchObject({
      code: "E_DATA",
      message: expect.stringMatching(/NaN\) for 1 of 300 samples of 'labelled', first for sample 7/),
    });
  });

  it.each([
    ["accuracy", labelled()],
    ["fidelity", samplesFor(gemmNet(), COUNT)],
  ])("scores both models as an evaluation of each does: %s", async (metric, data) => {
    const settings = { threads: 1, seed: 3 };
    const { outputs } = await evaluate(original, data, { ...settings, metrics: [], keepOutput: true });
    const compared = { ...settings, metrics: [...new Set([metric, "fidelity"])], reference: outputs! };
    const { metrics: before } = await evaluate(original, data, compared);
    const { metrics: after } = await evaluate(candidate, data, compared);
    const judge = judgeOf(original, data, metric);
    const { loss, agreement } = await judge.verdict(candidate, "validation");
    expect(loss).toMatchObject({
      original: before[metric].figure,
      candidate: after[metric].figure,
      sampleCount: COUNT,
    });
    expect(agreement).toEqual(after["fidelity"].figure);
    expect(agreement.value).toBeLessThan(1);
    expect(await judge.original("validation")).toEqual(before[metric]);
  });

  it("judges outputs too whose shape follows the batch", async () => {
    const judge = judgeOf(pairs, samplesFor(gemmNet(), COUNT), "fidelity");
    const { loss, agreement } = await judge.verdict(pairs, "validation");
    expect(loss.loss.value).toBe(0);
    expect(agreement.value).toBeCloseTo(1, 6);
  });
});
