// Tests of the metrics against sums by hand and slow, obvious versions of themselves; depends on the room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeFloat16 } from "../io/half.ts";
import { float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import { seededRandom, wilson } from "../statistics/index.ts";
import type { MetricContext, MetricResult } from "./metric.ts";
import { findMetric } from "./metrics.ts";
import { sliceTensor } from "./sample-set.ts";

interface Given {
  readonly output: TensorValue;
  readonly labels?: TensorValue;
  readonly targets?: TensorValue;
  readonly reference?: TensorValue;
}

/** Runs a metric over all samples, in batches of `batch`. */
async function score(
  name: string,
  given: Given,
  options: Partial<MetricContext> & { batch?: number } = {},
): Promise<MetricResult> {
  const sampleCount = given.output.shape[0];
  const { batch = sampleCount, ...context } = options;
  const metric = await findMetric(name);
  const accumulator = metric.open({ sampleCount, hasLabels: given.labels !== undefined, seed: 1, ...context });
  for (let start = 0; start < sampleCount; start += batch) {
    const end = Math.min(start + batch, sampleCount);
    const parts = Object.fromEntries(
      Object.entries(given).map(([key, value]: [string, TensorValue]) => [key, sliceTensor(value, start, end)]),
    ) as unknown as Given;
    accumulator.add({ start, count: end - start, inputs: {}, outputs: { y: parts.output }, ...parts });
  }
  return accumulator.finish();
}

const floats = (shape: readonly number[], ...values: number[]): TensorValue =>
  float32Tensor(shape, Float32Array.from(values));
const labelled = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: "int32",
  shape,
  data: Int32Array.from(values),
});
const value = (result: MetricResult): number => result.figure.value;

/** Random scores of `classCount` classes with labels that the scores favour. */
function classifier(count: number, classCount: number, seed: number): { output: TensorValue; labels: TensorValue } {
  const random = seededRandom(seed);
  const labels = Int32Array.from({ length: count }, () => random.integer(classCount));
  const scores = Float32Array.from(
    { length: count * classCount },
    (_, at) => random.normal() + (labels[Math.floor(at / classCount)] === at % classCount ? 1 : 0),
  );
  return {
    output: float32Tensor([count, classCount], scores),
    labels: { dtype: "int32", shape: [count], data: labels },
  };
}

describe("accuracy and top-k", () => {
  // Best classes by hand: 1, 0, 2 (of equal scores the first), and none where a score is not a number.
  const output = floats([4, 3], 0.1, 0.7, 0.2, 5, -1, 0, 1, 2, 2, Number.NaN, 1, 0);
  const labels = labelled([4], 1, 2, 1, 1);

  it("counts what is right, sample by sample, with Wilson's interval", async () => {
    const result = await score("accuracy", { output, labels });
    expect(result.perSample).toEqual(Uint8Array.of(1, 0, 1, 0));
    expect(result.figure).toMatchObject({ ...wilson(2, 4), method: "measured" });
  });

  it("counts labels among the best k; a row with NaN is always wrong", async () => {
    expect((await score("top2", { output, labels })).perSample).toEqual(Uint8Array.of(1, 1, 1, 0));
    expect((await score("top3", { output, labels })).perSample).toEqual(Uint8Array.of(1, 1, 1, 0));
    expect((await score("top9", { output, labels })).perSample).toEqual(Uint8Array.of(1, 1, 1, 0));
  });

  it("is top-1, and never falls with k", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 2, max: 6 }),
        fc.nat(99),
        async (count, classes, seed) => {
          const given = classifier(count, classes, seed);
          const accuracy = await score("accuracy", given);
          expect((await score("top1", given)).perSample).toEqual(accuracy.perSample);
          const byK = await Promise.all([1, 2, 3].map((k) => score(`top${k}`, given)));
          expect(byK.map(value)).toEqual(byK.map(value).toSorted((a, b) => a - b));
          expect(value(await score(`top${classes}`, given))).toBe(1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("does not depend on the batch", async () => {
    const given = classifier(50, 4, 3);
    for (const name of ["accuracy", "top2", "f1", "f1-micro"]) {
      expect(await score(name, given, { batch: 7 }), name).toEqual(await score(name, given));
    }
  });

  it("finds the class axis from the labels: pixels, tokens, axes of size 1", async () => {
    // Two pixels, three classes on axis 1: classes of pixel 0 are 1, 5, 2, of pixel 1 are 9, 0, 3.
    const image = floats([1, 3, 2], 1, 9, 5, 0, 2, 3);
    expect((await score("accuracy", { output: image, labels: labelled([1, 2], 1, 0) })).perSample).toEqual(
      Float64Array.of(1),
    );
    const tokens = floats([1, 2, 3], 1, 5, 2, 9, 0, 3);
    expect((await score("accuracy", { output: tokens, labels: labelled([1, 2], 1, 2) })).perSample).toEqual(
      Float64Array.of(0.5),
    );
    const wide = floats([2, 2, 1, 1], 1, 2, 4, 3);
    expect((await score("accuracy", { output: wide, labels: labelled([2, 1], 1, 0) })).figure.value).toBe(1);
    const square = floats([1, 2, 2], 1, 2, 0, 3);
    // As many classes as positions: the last axis is taken, and the option takes the other.
    expect(value(await score("accuracy", { output: square, labels: labelled([1, 2], 1, 1) }))).toBe(1);
    expect(value(await score("accuracy", { output: square, labels: labelled([1, 2], 0, 1) }, { classAxis: 1 }))).toBe(
      1,
    );
  });

  it("reads single scores as probabilities or logits, from all of them together", async () => {
    const truth = { labels: labelled([3], 0, 1, 1) };
    const probabilities = await score("accuracy", { output: floats([3, 1], 0.2, 0.6, 0.4), ...truth }, { batch: 1 });
    expect(probabilities.perSample).toEqual(Uint8Array.of(1, 1, 0));
    expect(probabilities.figure.assumptions.map(({ key }) => key)).toEqual(["metric.threshold"]);
    const logits = await score("accuracy", { output: floats([3, 1], -0.2, 0.6, 0.4), ...truth }, { batch: 1 });
    expect(logits.perSample).toEqual(Uint8Array.of(1, 1, 1));
    const given = await score("accuracy", { output: floats([3], 0.2, 0.6, 0.4), ...truth }, { threshold: 0.1 });
    expect(given.perSample).toEqual(Uint8Array.of(0, 1, 1));
    expect(given.figure.assumptions).toEqual([]);
  });

  it("takes class numbers as they are, and half floats", async () => {
    const decided: TensorValue = { dtype: "int64", shape: [3], data: BigInt64Array.of(4n, 0n, 7n) };
    expect((await score("accuracy", { output: decided, labels: labelled([3], 4, 1, 7) })).perSample).toEqual(
      Uint8Array.of(1, 0, 1),
    );
    const half: TensorValue = { dtype: "float16", shape: [1, 2], data: encodeFloat16(Float32Array.of(-1, -2)) };
    expect(value(await score("accuracy", { output: half, labels: labelled([1], 0) }))).toBe(1);
  });

  it("refuses labels without a class, and outputs without a class axis, naming the sample or both shapes", async () => {
    await expect(score("accuracy", { output, labels: labelled([4], 0, 1, 3, 0) })).rejects.toThrow(
      "sample 2 is labelled 3",
    );
    await expect(
      score("accuracy", { output, labels: labelled([4, 5], ...Array.from({ length: 20 }, () => 0)) }),
    ).rejects.toMatchObject({
      code: "E_METRIC",
      message: expect.stringContaining("[4,3] float32 and the labels are [4,5]") as string,
    });
    await expect(score("top2", { output: floats([2], 0, 1), labels: labelled([2], 0, 1) })).rejects.toMatchObject({
      code: "E_METRIC",
    });
  });
});

describe("F1", () => {
  // Confusion by hand: class 0 has TP 2, FP 1, FN 1; class 1 TP 1, FP 1, FN 1; class 2 TP 1, FP 0, FN 0.
  const predicted: TensorValue = { dtype: "int32", shape: [6], data: Int32Array.of(0, 0, 1, 0, 1, 2) };
  const labels = labelled([6], 0, 0, 0, 1, 1, 2);

  it("averages over classes, pools them, or takes class 1", async () => {
    const given = { output: predicted, labels };
    expect(value(await score("f1", given))).toBeCloseTo((4 / 6 + 2 / 4 + 1) / 3, 12);
    expect(value(await score("f1-macro", given))).toBeCloseTo((4 / 6 + 2 / 4 + 1) / 3, 12);
    expect(value(await score("f1-micro", given))).toBeCloseTo(4 / 6, 12);
    const binary = { output: floats([4], 0.9, 0.8, 0.1, 0.7), labels: labelled([4], 1, 0, 1, 1) };
    expect(value(await score("f1-binary", binary))).toBeCloseTo(4 / 6, 12);
    await expect(score("f1-binary", classifier(5, 3, 1))).rejects.toMatchObject({ code: "E_METRIC" });
  });

  it("has an interval close to Wilson's where both exist: pooled F1 of one decision a sample is the accuracy", async () => {
    const given = classifier(800, 4, 7);
    const [f1, accuracy] = [await score("f1-micro", given), await score("accuracy", given)];
    expect(f1.figure.value).toBeCloseTo(accuracy.figure.value, 12);
    expect(Math.abs(f1.figure.low - accuracy.figure.low)).toBeLessThan(0.012);
    expect(Math.abs(f1.figure.high - accuracy.figure.high)).toBeLessThan(0.012);
  });

  it("gives the same interval for the same seed", async () => {
    const given = classifier(60, 3, 2);
    expect(await score("f1", given, { seed: 5 })).toEqual(await score("f1", given, { seed: 5 }));
    expect((await score("f1", given, { seed: 6 })).figure.low).not.toBe(
      (await score("f1", given, { seed: 5 })).figure.low,
    );
  });
});

describe("distances", () => {
  const output = floats([2, 2], 1, 2, 3, 4);
  const targets = floats([2, 2], 1, 4, 3, 1);

  it("are means over samples", async () => {
    const mse = await score("mse", { output, targets });
    expect(mse).toMatchObject({ higherIsBetter: false, perSample: Float64Array.of(2, 4.5) });
    expect(value(mse)).toBe(3.25);
    expect((await score("mae", { output, targets })).perSample).toEqual(Float64Array.of(1, 1.5));
    const cosine = await score("cosine", { output, targets });
    const [first, second] = [9 / Math.sqrt(5 * 17), 13 / Math.sqrt(25 * 10)];
    expect(cosine.perSample?.[0]).toBeCloseTo(first, 12);
    expect(value(cosine)).toBeCloseTo((first + second) / 2, 12);
  });

  it("call zero vectors alike, and fit targets without the output's axis of size 1", async () => {
    const zeros = floats([2, 2], 0, 0, 0, 0);
    expect((await score("cosine", { output: zeros, targets: floats([2, 2], 0, 0, 1, 0) })).perSample).toEqual(
      Float64Array.of(1, 0),
    );
    expect(value(await score("mse", { output: floats([2, 1], 1, 2), targets: floats([2], 1, 4) }))).toBe(2);
  });

  it("refuse other shapes and outputs that are not finite", async () => {
    await expect(score("mse", { output, targets: floats([2, 1], 1, 2) })).rejects.toMatchObject({ code: "E_METRIC" });
    await expect(score("mae", { output: floats([1, 1], Number.NaN), targets: floats([1, 1], 1) })).rejects.toThrow(
      "sample 0",
    );
  });

  it("measure SQNR in decibels over all elements, capped where nothing differs", async () => {
    // Signal 30, noise 0.3: 20 dB.
    const noisy = floats([2, 2], 1, 2, 3, 4 + Math.sqrt(0.3));
    const result = await score("sqnr", { output: noisy, reference: output });
    expect(value(result)).toBeCloseTo(20, 5);
    expect(result.figure.unit).toBe("dB");
    expect((await score("sqnr", { output, reference: output })).figure).toMatchObject({
      value: 200,
      assumptions: [{ key: "metric.sqnr-equal" }],
    });
  });
});

describe("fidelity", () => {
  const output = floats([3, 2], 1, 2, 2, 1, 5, 4);
  const reference = floats([3, 2], 0, 9, 3, 4, 1, 0);

  it("is the share of equal decisions when there are labels, else the cosine", async () => {
    const withLabels = await score("fidelity", { output, reference, labels: labelled([3], 0, 0, 0) });
    expect(withLabels.perSample).toEqual(Uint8Array.of(1, 0, 1));
    expect(withLabels).toMatchObject({ name: "fidelity" });
    const without = await score("fidelity", { output, reference });
    expect(value(without)).toBeCloseTo(value(await score("fidelity-cosine", { output, reference })), 12);
    expect((await score("agreement", { output, reference })).perSample).toEqual(Uint8Array.of(1, 0, 1));
  });

  it("compares single scores by their side of the threshold", async () => {
    const labels = labelled([3], 0, 1, 1);
    const result = await score("agreement", {
      output: floats([3, 1], -1, 2, 0.3),
      reference: floats([3, 1], -5, 1, -0.1),
      labels,
    });
    expect(result.perSample).toEqual(Uint8Array.of(1, 1, 0));
  });
});

describe("a user's module", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-metric-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  let count = 0;
  async function moduleOf(source: string): Promise<string> {
    const path = join(folder, `metric${count++}.mjs`);
    await writeFile(path, source);
    return path;
  }
  const given = { output: floats([4, 1], 1, 2, 3, 4), labels: labelled([4], 0, 1, 1, 0) };

  it("sees all batches joined and gives a number, of which the interval is not known", async () => {
    const path = await moduleOf(
      "export const higherIsBetter = false; export const unit = 'm';" +
        "export default ({ output, labels, outputs }) => output.data[3] * labels.data.length + outputs.y.shape[0];",
    );
    const result = await score(path, given, { batch: 3 });
    expect(result.figure).toMatchObject({
      value: 20,
      low: 20,
      high: 20,
      unit: "m",
      assumptions: [{ key: "metric.no-interval" }],
    });
    expect(result.higherIsBetter).toBe(false);
  });

  it("may give the metric of each sample, or an interval", async () => {
    const perSample = await score(await moduleOf("export default ({ output }) => ({ perSample: output.data })"), given);
    expect(perSample.perSample).toEqual(Float64Array.of(1, 2, 3, 4));
    expect(perSample.figure.value).toBe(2.5);
    // t(3) = 3.182, s = 1.291: 2.5 ± 2.054.
    expect(perSample.figure.low).toBeCloseTo(0.446, 3);
    const own = await score(await moduleOf("export default async () => ({ value: 2, low: 1, high: 4 })"), given);
    expect(own.figure).toMatchObject({ value: 2, low: 1, high: 4, assumptions: [] });
  });

  it.each([
    ["throws", "export default () => { throw new Error('oh no') }", "oh no"],
    ["gives no number", "export default () => 'good'", "gave good"],
    [
      "gives a value that is not the mean",
      "export default () => ({ value: 1, perSample: [2, 2] })",
      "mean of its perSample is 2",
    ],
    ["exports no function", "export default 5", "no function"],
    ["does not parse", "export default (", "does not load"],
  ])("ends in E_METRIC when it %s", async (_what, source, message) => {
    const path = await moduleOf(source);
    await expect(score(path, given)).rejects.toMatchObject({
      code: "E_METRIC",
      message: expect.stringContaining(message) as string,
      where: { file: path },
    });
  });

  it("and every other name must be known", async () => {
    await expect(findMetric("./none.mjs")).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
    await expect(findMetric("acuracy")).rejects.toMatchObject({ code: "E_METRIC" });
    await expect(findMetric("top0")).rejects.toMatchObject({ code: "E_METRIC" });
  });
});
