// One-dimensional clustering against every possible split of a few numbers; depends on its file and fast-check.
import fc from "fast-check";
import { expect, test } from "vitest";
import { clusterAroundZero, clusterValues, nearest } from "./cluster.ts";

function squaredError(values: readonly number[], centers: ArrayLike<number>, indices: ArrayLike<number>): number {
  return values.reduce((sum, value, at) => sum + (value - centers[indices[at]]) ** 2, 0);
}

/** Least squared error over all ways to cut the sorted numbers into `count` runs. */
function bruteForce(sorted: readonly number[], count: number): number {
  if (count === 1) {
    const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
    return sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  }
  let best = Infinity;
  for (let cut = 1; cut <= sorted.length - count + 1; cut++) {
    best = Math.min(best, bruteForce(sorted.slice(0, cut), 1) + bruteForce(sorted.slice(cut), count - 1));
  }
  return best;
}

test("no split of a few numbers has a smaller squared error", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 4, maxLength: 11 }),
      fc.integer({ min: 1, max: 4 }),
      (values, count) => {
        const { centers, indices } = clusterValues(Float32Array.from(values), count);
        const best = bruteForce(
          values.toSorted((left, right) => left - right),
          count,
        );
        expect(squaredError(values, centers, indices)).toBeCloseTo(best, 3);
      },
    ),
    { seed: 20261126, numRuns: 300 },
  );
});

test("few distinct values are their own centers, and each value goes to the nearest", () => {
  const { centers, indices } = clusterValues(Float32Array.of(3, -1, 3, 0.5, -1), 8);
  expect([...centers]).toEqual([-1, 0.5, 3]);
  expect([...indices]).toEqual([2, 0, 2, 1, 0]);
  expect([...nearest(Float32Array.of(-9, 0, 1.7, 1.8, 9), centers)]).toEqual([0, 1, 1, 2, 2]);
});

test("many values are binned, and come within a hair of the best", () => {
  const values = Float32Array.from({ length: 40_000 }, (_, at) => Math.sin(at * 1.3) ** 3 + (at % 97) * 1e-4);
  const { centers, indices } = clusterValues(values, 6);
  let previous = Infinity;
  let error = squaredError([...values], centers, indices);
  // Lloyd's iteration from the answer finds nothing to gain.
  for (let round = 0; round < 20; round++) {
    const sums = new Float64Array(6);
    const counts = new Float64Array(6);
    const own = nearest(values, centers);
    values.forEach((value, at) => {
      sums[own[at]] += value;
      counts[own[at]]++;
    });
    centers.set(Float32Array.from(sums, (sum, at) => sum / counts[at]));
    previous = squaredError([...values], centers, nearest(values, centers));
  }
  expect(error / previous).toBeLessThan(1.001);
});

test("a value that counts three times is three values", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ value: fc.integer({ min: -50, max: 50 }), times: fc.integer({ min: 1, max: 4 }) }), {
        minLength: 3,
        maxLength: 20,
      }),
      fc.integer({ min: 1, max: 5 }),
      (weighted, count) => {
        const values = Float32Array.from(weighted, ({ value }) => value);
        const repeated = weighted.flatMap(({ value, times }) => Array.from({ length: times }, () => value));
        const { centers } = clusterValues(
          values,
          count,
          Float32Array.from(weighted, ({ times }) => times),
        );
        expect(centers).toEqual(clusterValues(Float32Array.from(repeated), count).centers);
      },
    ),
    { seed: 20261127, numRuns: 200 },
  );
});

test("zeros are a center of their own", () => {
  const { centers, indices } = clusterAroundZero(Float32Array.of(0, 0.1, 0.2, 0, -4), 3);
  expect([...centers]).toEqual([0, -4, expect.closeTo(0.15, 6)]);
  expect([...indices]).toEqual([0, 2, 2, 0, 1]);
  expect([...clusterAroundZero(new Float32Array(3), 4).centers]).toEqual([0]);
  expect(clusterAroundZero(Float32Array.of(1, 2, 2), 2).centers).toEqual(Float32Array.of(1, 2));
});
