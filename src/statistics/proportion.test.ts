// Proportion intervals and tests against published examples and their promised coverage; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  holm,
  independentDifference,
  mcnemar,
  pairedDifferenceOfCounts,
  pairedProportionDifference,
  wilson,
} from "./proportion.ts";
import { binomialPmf } from "./special-functions.ts";

const mean = (side: Uint8Array): number => side.reduce((sum, hit) => sum + hit, 0) / side.length;

describe("Wilson interval", () => {
  it.each([
    // Newcombe 1998 (single proportion), table I, method 3; further digits from statsmodels 0.15.
    [81, 263, 0.2552885, 0.3662096],
    [15, 148, 0.0623864, 0.1604872],
    [0, 20, 0, 0.1611251],
    [29, 29, 0.8830302, 1],
    [9790, 10000, 0.9760003, 0.981632],
  ])("gives the published bounds for %d of %d", (successes, trials, low, high) => {
    const interval = wilson(successes, trials);
    expect(interval.low).toBeCloseTo(low, 6);
    expect(interval.high).toBeCloseTo(high, 6);
  });

  it("contains the estimate, stays in 0…1, mirrors, and widens with confidence", () => {
    const counts = fc
      .integer({ min: 1, max: 100_000 })
      .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    fc.assert(
      fc.property(counts, ([successes, trials]) => {
        const { value, low, high } = wilson(successes, trials);
        expect(low >= 0 && low <= value && value <= high && high <= 1).toBe(true);
        const mirror = wilson(trials - successes, trials);
        expect(1 - mirror.high).toBeCloseTo(low, 12);
        expect(wilson(successes, trials, 0.99).high).toBeGreaterThanOrEqual(high);
      }),
      { seed: 1 },
    );
  });

  it("covers the truth about 95 % of the time, summed over every outcome of 50 trials", () => {
    const coverages = [0.1, 0.2, 0.35, 0.5, 0.7, 0.9].map((truth) => {
      let covered = 0;
      for (let seen = 0; seen <= 50; seen++) {
        const { low, high } = wilson(seen, 50);
        if (low <= truth && truth <= high) covered += binomialPmf(seen, 50, truth);
      }
      return covered;
    });
    for (const covered of coverages) expect(covered).toBeGreaterThan(0.92);
    expect(coverages.reduce((sum, covered) => sum + covered, 0) / coverages.length).toBeCloseTo(0.95, 1.5);
  });

  it("refuses counts that are no counts", () => {
    expect(() => wilson(5, 4)).toThrow(/successes/);
    expect(() => wilson(0, 0)).toThrow(/trials/);
    expect(() => wilson(1, 2, 1)).toThrow(/confidence/);
  });
});

describe("difference of paired proportions", () => {
  it.each([
    // Newcombe 1998 (paired), table III, method 10; its fourth decimal is cut or rounded.
    [36, 12, 2, 0, 0.0569, 0.3404],
    [20, 12, 2, 16, 0.0562, 0.3292],
    [18, 12, 2, 18, 0.0562, 0.329],
    [36, 14, 0, 0, 0.1528, 0.4167],
    [35, 14, 0, 1, 0.1461, 0.4175],
    [18, 14, 0, 18, 0.1441, 0.3963],
    [2, 97, 1, 0, 0.8721, 0.9854],
    [1, 97, 1, 1, 0.8736, 0.985],
    [0, 29, 1, 0, 0.6666, 0.9882],
    [0, 30, 0, 0, 0.8395, 1],
    [54, 0, 0, 0, -0.0664, 0.0664],
    [30, 0, 0, 24, -0.0358, 0.0358],
    // Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33 (airway hyper-responsiveness): -0.507 to -0.026.
    [1, 1, 7, 12, -0.5069, -0.0256],
  ])("gives the published interval for %d, %d, %d, %d", (both, onlyFirst, onlySecond, neither, low, high) => {
    const found = pairedDifferenceOfCounts({ both, onlyFirst, onlySecond, neither });
    expect(Math.abs(found.low - low)).toBeLessThan(1e-4);
    expect(Math.abs(found.high - high)).toBeLessThan(1e-4);
  });

  const correctness = fc
    .array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 300 })
    .map(
      (pairs) => [0, 1].map((side) => Uint8Array.from(pairs, (pair) => Number(pair[side]))) as [Uint8Array, Uint8Array],
    );

  it("contains the observed difference, stays in −1…1 and changes sign with the order", () => {
    fc.assert(
      fc.property(correctness, ([first, second]) => {
        const forth = pairedProportionDifference(first, second);
        const back = pairedProportionDifference(second, first);
        expect(forth.difference).toBeCloseTo(mean(first) - mean(second), 12);
        expect(forth.low).toBeLessThanOrEqual(forth.difference);
        expect(forth.high).toBeGreaterThanOrEqual(forth.difference);
        expect(forth.low >= -1 - 1e-12 && forth.high <= 1 + 1e-12).toBe(true);
        expect(back.low).toBeCloseTo(-forth.high, 12);
      }),
      { seed: 2 },
    );
  });

  it("covers the true difference at least 93.5 % of the time, summed over every table of 30 pairs", () => {
    const truths = [
      [0.8, 0.1, 0.05, 0.05],
      [0.5, 0.2, 0.1, 0.2],
      [0.9, 0.04, 0.02, 0.04],
    ] as const;
    for (const [both, first, second, neither] of truths) {
      let covered = 0;
      for (let a = 0; a <= 30; a++) {
        const pa = binomialPmf(a, 30, both);
        for (let b = 0; b <= 30 - a; b++) {
          const pb = binomialPmf(b, 30 - a, first / (1 - both));
          for (let c = 0; c <= 30 - a - b; c++) {
            const pc = binomialPmf(c, 30 - a - b, second / (second + neither));
            const found = pairedDifferenceOfCounts({ both: a, onlyFirst: b, onlySecond: c, neither: 30 - a - b - c });
            const truth = first - second;
            if (found.low <= truth && truth <= found.high) covered += pa * pb * pc;
          }
        }
      }
      expect(covered).toBeGreaterThan(0.935);
    }
  });

  it("is narrower than two separate intervals when the models agree, which is why pairs are kept", () => {
    const agree = pairedDifferenceOfCounts({ both: 9700, onlyFirst: 40, onlySecond: 30, neither: 230 });
    const one = wilson(9740, 10_000);
    const two = wilson(9730, 10_000);
    const separate = Math.hypot(one.value - one.low, two.high - two.value);
    expect(agree.difference - agree.low).toBeLessThan(separate * 0.7);
  });

  it("refuses vectors of different lengths", () => {
    expect(() => pairedProportionDifference(new Uint8Array(3), new Uint8Array(4))).toThrow(/same samples/);
  });
});

describe("McNemar's test", () => {
  it.each([
    // Fagerland 2013, table 3: exact 0.070, mid-p 0.039. The others: statsmodels 0.15 and SciPy 1.17.
    [1, 7, 0.0703125, 0.0390625],
    [16, 6, 0.052478790283203125, 0.03468966484069824],
    [5, 5, 1, 0.876953125],
    [0, 3, 0.25, 0.125],
    [0, 0, 1, 1],
  ])("gives the published p-values for %d against %d", (onlyFirst, onlySecond, exact, midP) => {
    const found = mcnemar(onlyFirst, onlySecond);
    expect(found.exact).toBeCloseTo(exact, 10);
    expect(found.midP).toBeCloseTo(midP, 10);
  });

  it("does not depend on the order, and mid-p never exceeds the exact value", () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), (one, two) => {
        const found = mcnemar(one, two);
        expect(mcnemar(two, one)).toEqual(found);
        expect(found.midP).toBeLessThanOrEqual(found.exact);
        expect(found.midP > 0 && found.exact <= 1).toBe(true);
      }),
      { seed: 3 },
    );
  });
});

describe("Holm's adjustment", () => {
  it("gives statsmodels' values", () => {
    const found = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((expected, index) => expect(found[index]).toBeCloseTo(expected, 12));
  });

  it("keeps the order, lies between the raw and the Bonferroni value, and leaves a single value alone", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }), (values) => {
        const found = holm(values);
        values.forEach((p, index) => {
          expect(found[index]).toBeGreaterThanOrEqual(p);
          values.forEach((q, other) => {
            if (p < q) expect(found[index]).toBeLessThanOrEqual(found[other]);
          });
        });
        expect(found[values.indexOf(Math.min(...values))]).toBe(Math.min(1, values.length * Math.min(...values)));
      }),
      { seed: 4 },
    );
    expect(holm([0.2])).toEqual([0.2]);
  });
});

describe("difference of independent proportions", () => {
  it.each([
    // Newcombe 1998 (independent), table II, method 10.
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.809],
    [10, 10, 0, 10, 0.6075, 1],
  ])("of %i/%i and %i/%i is the published one", (a, m, b, n, low, high) => {
    const found = independentDifference([a, m], [b, n]);
    expect(found.value).toBeCloseTo(a / m - b / n, 12);
    expect(found.low).toBeCloseTo(low, 4);
    expect(found.high).toBeCloseTo(high, 4);
  });
});
