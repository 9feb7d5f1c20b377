// Distribution functions against SciPy 1.17 and their own inverses; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  binomialCdf,
  binomialPmf,
  normalCdf,
  normalQuantile,
  studentCdf,
  studentQuantile,
} from "./special-functions.ts";

const closeTo = (found: number, expected: number, relative: number): void =>
  expect(Math.abs(found - expected)).toBeLessThanOrEqual(relative * Math.abs(expected));

describe("normal distribution", () => {
  it.each([
    [0.6, 0.2533471031357997],
    [0.9, 1.2815515655446004],
    [0.975, 1.959963984540054],
    [0.995, 2.5758293035489004],
    [1e-5, -4.264890793922825],
    [1e-10, -6.361340902404056],
    [1e-20, -9.262340089798409],
    [1e-300, -37.0470962993612],
  ])("has SciPy's quantile at %d", (p, expected) => closeTo(normalQuantile(p), expected, 1e-14));

  it.each([
    [-10, 7.61985302416047e-24],
    [-5, 2.866515718791933e-7],
    [-3, 0.0013498980316300933],
    [-1, 0.15865525393145707],
    [0.3, 0.6179114221889526],
    [3.99, 0.9999669633523706],
    [4.01, 0.9999696406260734],
  ])("has SciPy's distribution function at %d", (x, expected) => closeTo(normalCdf(x), expected, 1e-12));

  it("inverts itself", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), (p) => {
        expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 12);
      }),
      { seed: 1 },
    );
  });
});

describe("Student's distribution", () => {
  it.each([
    [0.975, 1, 12.706204736174694],
    [0.975, 2, 4.302652729749462],
    [0.975, 9, 2.262157162798205],
    [0.975, 29, 2.045229642132703],
    [0.995, 4, 4.604094871349992],
    [0.6, 3, 0.2766706623326898],
    [0.975, 1000, 1.9623390808264083],
    [0.025, 5, -2.5705818356363155],
    [0.975, 2.5, 3.5746548420036817],
  ])("has SciPy's quantile at %d with %d degrees of freedom", (p, degrees, expected) =>
    closeTo(studentQuantile(p, degrees), expected, 1e-11),
  );

  it("inverts itself and is symmetric", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        (p, degrees) => {
          const quantile = studentQuantile(p, degrees);
          expect(studentCdf(quantile, degrees)).toBeCloseTo(p, 10);
          expect(studentQuantile(1 - p, degrees)).toBeCloseTo(-quantile, 8);
        },
      ),
      { seed: 2 },
    );
  });
});

describe("binomial distribution", () => {
  it.each([
    [5, 10, 0.5, 0.623046875, 0.24609375],
    [0, 20, 0.05, 0.3584859224085422, 0.3584859224085422],
    [470, 500, 0.95, 0.176470742656715, 0.04561844476132369],
    [4950, 10000, 0.5, 0.16108709989765543, 0.004839495142316416],
  ])("has SciPy's values at %d of %d, p = %d", (k, n, p, cumulative, single) => {
    closeTo(binomialCdf(k, n, p), cumulative, 1e-10);
    closeTo(binomialPmf(k, n, p), single, 1e-10);
  });

  it("has a distribution function that is the sum of its probabilities", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (n, p) => {
        let total = 0;
        for (let k = 0; k <= n; k++) {
          total += binomialPmf(k, n, p);
          expect(binomialCdf(k, n, p)).toBeCloseTo(total, 10);
        }
      }),
      { seed: 3, numRuns: 50 },
    );
  });
});
