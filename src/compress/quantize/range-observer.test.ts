// Tests of the streaming range observer against all values at once; depends on its room and statistics.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../statistics/index.ts";
import { activationParams, dequantizeValue, quantizeValue } from "./affine.ts";
import { GrowingHistogram } from "./growing-histogram.ts";
import { RangeObserver, type RangeMethod } from "./range-observer.ts";

const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e5, max: 1e5 });
const lists = fc.array(finite, { minLength: 1 });

function observed(values: ArrayLike<number>, batch = 1000): RangeObserver {
  const observer = new RangeObserver();
  const data = Float32Array.from(values);
  for (let at = 0; at < data.length; at += batch) observer.observe(data.subarray(at, at + batch));
  return observer;
}

/** Mean square error of rounding the values themselves, each to its nearest level. */
function squareError(values: Float32Array, range: { low: number; high: number }): number {
  const params = activationParams(range.low, range.high);
  return (
    values.reduce((sum, value) => sum + (value - dequantizeValue(quantizeValue(value, params), params)) ** 2, 0) /
    values.length
  );
}

/** Normal values with a few far outside; rectified when asked. */
function heavyTailed(seed: number, rectify: boolean, outlier = 40): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: 8000 }, (_, at) => {
    const value = random.normal() * (at % 1000 === 7 ? outlier : 1);
    return rectify ? Math.max(0, value) : value;
  });
}

describe("GrowingHistogram", () => {
  it("has the counts of a histogram over all values at once, in any order and any batches", () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 7 }), (list, batch) => {
        const data = Float32Array.from(list);
        const histogram = new GrowingHistogram();
        for (let at = 0; at < data.length; at += batch) {
          const part = data.subarray(at, at + batch);
          histogram.add(part, Math.min(...part), Math.max(...part));
        }
        for (let bin = 0; bin < histogram.counts.length; bin++) {
          const [from, to] = [histogram.edge(bin), histogram.edge(bin + 1)];
          if (histogram.counts[bin] === 0) continue;
          expect(histogram.counts[bin]).toBe(data.filter((value) => value >= from && value < to).length);
        }
        expect(histogram.counts.reduce((sum, count) => sum + count)).toBe(data.length);
      }),
    );
  });
});

describe("RangeObserver", () => {
  it("gives the exact extremes whatever the batches", () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 5 }), (list, batch) => {
        const data = Float32Array.from(list);
        const expected = { low: Math.min(...data), high: Math.max(...data) };
        expect(observed(list, batch).range({ kind: "minmax" })).toEqual(expected);
      }),
    );
  });

  it("averages the extremes of samples as the recurrence says, however many samples come at once", () => {
    const random = seededRandom(5);
    const data = Float32Array.from({ length: 60 * 10 }, () => random.normal());
    let [low, high] = [Math.min(...data.subarray(0, 10)), Math.max(...data.subarray(0, 10))];
    for (let at = 10; at < data.length; at += 10) {
      low = 0.99 * low + 0.01 * Math.min(...data.subarray(at, at + 10));
      high = 0.99 * high + 0.01 * Math.max(...data.subarray(at, at + 10));
    }
    for (const samples of [1, 4, 60]) {
      const observer = new RangeObserver();
      for (let at = 0; at < data.length; at += 10 * samples) {
        observer.observe(data.subarray(at, at + 10 * samples), samples);
      }
      const range = observer.range({ kind: "moving-average" })!;
      expect(range.low).toBeCloseTo(low, 10);
      expect(range.high).toBeCloseTo(high, 10);
    }
  });

  it("finds percentiles to within a bin, though it never knew the range beforehand", () => {
    const all = heavyTailed(3, false, 20);
    const sorted = all.slice().sort();
    const cut = Math.floor(sorted.length * 0.005);
    const { low, high } = observed(all).range({ kind: "percentile", percentile: 99 })!;
    // Bins are 1/4096 of the next power of two above the largest value: below 128/4096.
    expect(Math.abs(low - sorted[cut])).toBeLessThan(0.035);
    expect(Math.abs(high - sorted[sorted.length - 1 - cut])).toBeLessThan(0.035);
    expect(high).toBeLessThan(observed(all).range({ kind: "minmax" })!.high / 3);
  });

  it.each([
    ["normal values with outliers", heavyTailed(1, false)],
    ["rectified values with outliers", heavyTailed(2, true)],
    ["values without outliers", heavyTailed(3, false, 1)],
    ["values on one side of zero", heavyTailed(4, false).map((value) => value + 5)],
  ])("finds the range of least square error, as trying every cut on the values themselves does: %s", (_name, data) => {
    const observer = observed(data);
    const full = observer.range({ kind: "minmax" })!;
    let least = Infinity;
    for (let i = 1; i <= 16; i++) {
      for (let j = 1; j <= 16; j++) {
        least = Math.min(least, squareError(data, { low: (full.low * i) / 16, high: (full.high * j) / 16 }));
      }
    }
    const best = observer.range({ kind: "mse" })!;
    const found = squareError(data, best);
    expect(observer.squareError(best) / found).toBeCloseTo(1, 1);
    expect(observer.squareError(full) / squareError(data, full)).toBeCloseTo(1, 1);
    expect(observer.meanSquare).toBeCloseTo(data.reduce((sum, value) => sum + value ** 2, 0) / data.length, 3);
    expect(found).toBeLessThan(least * 1.03);
    expect(found).toBeLessThanOrEqual(squareError(data, full) * 1.02);
  });

  it("loses the least information with the entropy range: outliers go, a uniform range stays whole", () => {
    const spiked = observed(heavyTailed(8, true)).range({ kind: "entropy" })!;
    expect(spiked.low).toBe(0);
    expect(spiked.high).toBeGreaterThan(2);
    expect(spiked.high).toBeLessThan(observed(heavyTailed(8, true)).range({ kind: "minmax" })!.high * 0.6);
    const random = seededRandom(9);
    const even = observed(Float32Array.from({ length: 200_000 }, () => random.next() * 6 - 2));
    const { low, high } = even.range({ kind: "entropy" })!;
    expect(high).toBeGreaterThan(3.8);
    expect(low).toBeLessThan(-1.9);
  });

  it.each<RangeMethod>([
    { kind: "minmax" },
    { kind: "moving-average" },
    { kind: "percentile", percentile: 99.9 },
    { kind: "entropy" },
    { kind: "mse" },
  ])("stays within what was seen and zero, whatever the values: $kind", (method) => {
    fc.assert(
      fc.property(lists, (list) => {
        const data = Float32Array.from(list);
        const range = observed(data).range(method)!;
        expect(range.low).toBeGreaterThanOrEqual(Math.min(...data, 0));
        expect(range.high).toBeLessThanOrEqual(Math.max(...data, 0));
        expect(range.low).toBeLessThanOrEqual(range.high);
      }),
      { numRuns: 30 },
    );
  });

  it.each<RangeMethod>([{ kind: "percentile", percentile: 99.9 }, { kind: "entropy" }, { kind: "mse" }])(
    "keeps the low end of rectified values at zero: $kind",
    (method) => {
      const values = Float32Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? 0 : i / 1000));
      expect(observed(values).range(method)!.low).toBe(0);
    },
  );

  it("leaves NaN and infinity out and counts them", () => {
    const observer = new RangeObserver();
    observer.observe(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, -2));
    expect(observer.range({ kind: "minmax" })).toEqual({ low: -2, high: 1 });
    expect(observer.notFiniteCount).toBe(2);
    expect(new RangeObserver().range({ kind: "minmax" })).toBeUndefined();
  });
});
