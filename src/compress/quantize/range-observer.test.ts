// Tests of the streaming range observer against sorted data; depends on the file beside it.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../statistics/index.ts";
import { RangeObserver } from "./range-observer.ts";

describe("RangeObserver", () => {
  it("gives the exact extremes whatever the batches", () => {
    const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e5, max: 1e5 }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 5 }), (list, batch) => {
        const observer = new RangeObserver();
        for (let at = 0; at < list.length; at += batch) observer.observe(Float32Array.from(list.slice(at, at + batch)));
        const data = Float32Array.from(list);
        expect(observer.range({ kind: "minmax" })).toEqual({ low: Math.min(...data), high: Math.max(...data) });
      }),
    );
  });

  it("finds percentiles to within a bin, though it never knew the range beforehand", () => {
    const random = seededRandom(3);
    const observer = new RangeObserver();
    const all: number[] = [];
    for (let batch = 0; batch < 50; batch++) {
      const values = Float32Array.from({ length: 1000 }, () => random.normal() * (batch === 30 ? 20 : 1));
      observer.observe(values);
      all.push(...values);
    }
    const sorted = Float32Array.from(all).sort();
    const cut = Math.floor(sorted.length * 0.005);
    const { low, high } = observer.range({ kind: "percentile", percentile: 99 })!;
    // Bins are 1/2048 of the next power of two above the largest value: below 128/2048.
    expect(Math.abs(low - sorted[cut])).toBeLessThan(0.07);
    expect(Math.abs(high - sorted[sorted.length - 1 - cut])).toBeLessThan(0.07);
    expect(high).toBeLessThan(observer.range({ kind: "minmax" })!.high / 3);
  });

  it("keeps the low end of rectified values at zero", () => {
    const observer = new RangeObserver();
    observer.observe(Float32Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? 0 : i / 1000)));
    expect(observer.range({ kind: "percentile", percentile: 99.9 })!.low).toBe(0);
  });

  it("leaves NaN and infinity out and counts them", () => {
    const observer = new RangeObserver();
    observer.observe(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, -2));
    expect(observer.range({ kind: "minmax" })).toEqual({ low: -2, high: 1 });
    expect(observer.notFiniteCount).toBe(2);
    expect(new RangeObserver().range({ kind: "minmax" })).toBeUndefined();
  });
});
