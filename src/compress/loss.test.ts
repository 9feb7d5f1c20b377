// Tests of paired losses against sums by hand; depends on the file beside it.
import { describe, expect, it } from "vitest";
import { figure } from "../quantity/index.ts";
import type { MetricResult } from "../runtime/metric.ts";
import { lossBetween, surelyWithin, within } from "./loss.ts";

const POINTS = { maxDrop: { kind: "points", value: 0.5 } } as const;

function correctness(right: number, total: number, flips = 0): MetricResult {
  const perSample = Uint8Array.from({ length: total }, (_, at) => Number(at < right) ^ Number(at >= total - flips));
  const value = perSample.reduce((sum, one) => sum + one, 0) / total;
  return {
    name: "accuracy",
    figure: figure({ value, unit: "1", method: "measured" }),
    higherIsBetter: true,
    perSample,
  };
}

function errors(values: readonly number[]): MetricResult {
  const perSample = Float64Array.from(values);
  const value = perSample.reduce((sum, one) => sum + one, 0) / perSample.length;
  return { name: "mse", figure: figure({ value, unit: "m²", method: "measured" }), higherIsBetter: false, perSample };
}

const f1 = (value: number): MetricResult => ({
  name: "f1",
  higherIsBetter: true,
  figure: figure({ value, low: value - 0.01, high: value + 0.01, unit: "1", method: "measured" }),
});

const at = (value: number, half: number) => ({
  ...lossBetween(correctness(980, 1000), correctness(980, 1000), POINTS, "test", 1000),
  loss: figure({ value, low: value - half, high: value + half, unit: "1", method: "measured" }),
});

describe("lossBetween", () => {
  it("counts the pairs that changed: 980 against 975 right, 15 lost and 10 won", () => {
    const original = correctness(980, 1000);
    const perSample = Uint8Array.from(original.perSample as Uint8Array);
    perSample.fill(0, 0, 15);
    perSample.fill(1, 980, 990);
    const candidate = { ...original, perSample, figure: figure({ value: 0.975, unit: "1", method: "measured" }) };
    const { loss, mcnemarP, allowedLoss } = lossBetween(original, candidate, POINTS, "test", 1000);
    expect(loss.value).toBeCloseTo(0.005, 12);
    expect(loss.low).toBeLessThan(0);
    expect(loss.high).toBeGreaterThan(0.01);
    // Two-sided binomial, 10 or fewer of 25.
    expect(mcnemarP).toBeCloseTo(0.4244, 3);
    expect(allowedLoss).toBe(0.005);
  });

  it("is nothing, with certainty about each pair, for a model against itself", () => {
    const original = correctness(970, 1000);
    const result = lossBetween(original, original, POINTS, "validation", 1000);
    expect(result.loss.value).toBe(0);
    expect(result.mcnemarP).toBe(1);
    expect(surelyWithin(result)).toBe(true);
  });

  it("counts a rise as a loss where less is better, pairing sample by sample", () => {
    const original = errors([1, 2, 3, 4]);
    const candidate = errors([1.1, 2.1, 3.1, 4.1]);
    const { loss } = lossBetween(original, candidate, { maxDrop: { kind: "relative", value: 5 } }, "test", 4);
    expect(loss.value).toBeCloseTo(0.1, 12);
    // Unpaired, the spread of 1…4 would swamp this.
    expect(loss.high - loss.low).toBeLessThan(1e-9);
    expect(loss.unit).toBe("m²");
  });

  it("takes the intervals end to end for a metric of the whole set", () => {
    const { loss } = lossBetween(f1(0.9), f1(0.89), POINTS, "test", 100);
    expect([loss.value, loss.low, loss.high].map((x) => Number(x.toFixed(6)))).toEqual([0.01, -0.01, 0.03]);
  });

  it("sums the differences of a metric that counts, in the metric's own unit", () => {
    const matches = (values: readonly number[]): MetricResult => ({
      ...errors(values),
      aggregate: "sum",
      higherIsBetter: true,
      figure: figure({ value: values.reduce((sum, one) => sum + one, 0), unit: "matches", method: "measured" }),
    });
    const before = matches([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
    const after = matches([1, 0, 1, 1, 0, 1, 1, 1, 1, 1]);
    const budget = { maxDrop: { kind: "absolute", value: 2, unit: "matches" } } as const;
    const { loss, allowedLoss } = lossBetween(before, after, budget, "test", 10);
    expect(loss).toMatchObject({ value: 1, unit: "matches" });
    // Student's t of nine degrees of freedom, times √10 · the deviation of one 1 among nine 0.
    expect(loss.high).toBeCloseTo(1 + 2.2622 * Math.sqrt(0.1 * 10), 3);
    expect(allowedLoss).toBe(2);
    // 49 · (1/49) is less than 1, and the like above it would break a budget of whole matches.
    const all = Array.from({ length: 49 }, () => 1);
    expect(lossBetween(matches(all), matches(all.with(7, 0)), budget, "test", 49).loss.value).toBe(1);
    const inPixels = { maxDrop: { kind: "absolute", value: 2, unit: "px" } } as const;
    expect(() => lossBetween(before, after, inPixels, "test", 10)).toThrowError(/px.*matches/);
  });

  it("holds the bound at the confidence that was asked for, and knows where there is none", () => {
    const original = correctness(980, 1000);
    const candidate = correctness(978, 1000);
    const judge = (confidence?: number) => lossBetween(original, candidate, { ...POINTS, confidence }, "test", 1000);
    expect(judge().bound).toBeNull();
    const [half, most] = [judge(0.5), judge(0.999)];
    expect(half.bound!.loss).toBeLessThan(half.loss.high);
    expect(most.bound!.loss).toBeGreaterThan(most.loss.high);
    expect(half.loss).toEqual(most.loss);
    expect([within(half), within(most)]).toEqual([true, false]);
    expect(judge(0.95).bound!.loss).toBe(judge().loss.high);
    expect(() => lossBetween(f1(0.9), f1(0.9), { ...POINTS, confidence: 0.9 }, "test", 10)).toThrowError(/95 %/);
  });

  it("refuses a budget in points on a metric without a scale of points", () => {
    expect(() => lossBetween(errors([1]), errors([1]), POINTS, "test", 1)).toThrowError(
      expect.objectContaining({ code: "E_METRIC" }),
    );
  });
});

describe("the rules", () => {
  it("differ in what the far end of the interval may do", () => {
    expect([surelyWithin(at(0.004, 0.0005)), within(at(0.004, 0.0005))]).toEqual([true, true]);
    expect([surelyWithin(at(0.004, 0.002)), within(at(0.004, 0.002))]).toEqual([false, true]);
    expect([surelyWithin(at(0.004, 0.007)), within(at(0.004, 0.007))]).toEqual([false, false]);
    expect([surelyWithin(at(0.006, 0.0001)), within(at(0.006, 0.0001))]).toEqual([false, false]);
  });
});
