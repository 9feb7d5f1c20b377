// Intervals of means and quantiles against SciPy and against their promised coverage; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "./random.ts";
import { meanInterval, quantileInterval } from "./sample.ts";

const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("interval of a mean", () => {
  it("gives SciPy's Student interval", () => {
    const found = meanInterval([12.1, 9.8, 10.4, 11.9, 30.2, 10.1, 9.9, 10.8, 11.1, 10]);
    expect(found.value).toBeCloseTo(12.63, 10);
    expect(found.low).toBeCloseTo(8.175592284858126, 9);
    expect(found.high).toBeCloseTo(17.08440771514187, 9);
  });

  it("keeps its digits when the spread is tiny against the mean", () => {
    const { low, high } = meanInterval([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]);
    // s = √30, t(3) = 3.182446
    expect((high - low) / 2).toBeCloseTo((3.182446305284263 * Math.sqrt(30)) / 2, 5);
  });

  it("covers the true mean 95 times in 100", () => {
    const random = seededRandom(1);
    let covered = 0;
    for (let trial = 0; trial < 2000; trial++) {
      const { low, high } = meanInterval(Array.from({ length: 5 }, () => random.normal()));
      if (low <= 0 && 0 <= high) covered++;
    }
    expect(Math.abs(covered / 2000 - 0.95)).toBeLessThan(0.015);
  });

  it("refuses one value and values that are no numbers", () => {
    expect(() => meanInterval([1])).toThrow(/at least 2/);
    expect(() => meanInterval([1, Number.NaN])).toThrow(/index 1/);
  });
});

describe("interval of a quantile", () => {
  it.each([
    // SciPy 1.17, stats.quantile_test(...).confidence_interval(0.95)
    [100, 0.5, 40, 61],
    [20, 0.5, 6, 15],
    [100, 0.95, 90, 100],
    [200, 0.95, 184, 197],
  ])("has SciPy's ranks for %d values at %d", (count, q, low, high) => {
    const found = quantileInterval(oneTo(count), q);
    expect([found.low, found.high]).toEqual([low, high]);
    expect(found.confidence).toBeGreaterThanOrEqual(0.95);
  });

  it("says so when the sample is too small for the confidence", () => {
    expect(quantileInterval(oneTo(5), 0.5)).toMatchObject({ value: 3, low: 1, high: 5 });
    expect(quantileInterval(oneTo(5), 0.5).confidence).toBeCloseTo(0.9375, 12);
    expect(quantileInterval(oneTo(20), 0.95).confidence).toBeLessThan(0.65);
    expect(quantileInterval(oneTo(6), 0.5).confidence).toBeGreaterThan(0.95);
    expect(quantileInterval([7], 0.5)).toMatchObject({ value: 7, low: 7, high: 7 });
  });

  it("contains its value, ignores the order of the sample, and stays inside its range", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (values, q) => {
          const found = quantileInterval(values, q);
          expect(found.low <= found.value && found.value <= found.high).toBe(true);
          expect(found.low >= Math.min(...values) && found.high <= Math.max(...values)).toBe(true);
          expect(quantileInterval([...values].reverse(), q)).toEqual(found);
        },
      ),
      { seed: 1 },
    );
  });

  it("covers the true p95 of a skewed distribution at least as often as it says", () => {
    const random = seededRandom(2);
    const truth = -Math.log(0.05);
    let covered = 0;
    for (let trial = 0; trial < 1000; trial++) {
      const { low, high } = quantileInterval(
        Array.from({ length: 120 }, () => -Math.log(1 - random.next())),
        0.95,
      );
      if (low <= truth && truth <= high) covered++;
    }
    expect(covered).toBeGreaterThan(935);
  });
});
