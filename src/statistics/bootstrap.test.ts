// Bootstrap intervals against SciPy, their coverage, and their seed; depends on its room.
import { describe, expect, it } from "vitest";
import { bootstrap } from "./bootstrap.ts";
import { seededRandom } from "./random.ts";

const LSAT = [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594];
const GPA = [3.39, 3.3, 2.81, 3.03, 3.44, 3.07, 3, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96];

function correlation(indices: Uint32Array): number {
  const mean = (values: number[]): number => indices.reduce((sum, index) => sum + values[index], 0) / indices.length;
  const [a, b] = [mean(LSAT), mean(GPA)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const index of indices) {
    ab += (LSAT[index] - a) * (GPA[index] - b);
    aa += (LSAT[index] - a) ** 2;
    bb += (GPA[index] - b) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

const run = (seed: number) => bootstrap(15, correlation, { random: seededRandom(seed), resamples: 200 });

describe("bootstrap", () => {
  it("gives the intervals of Efron's law school data that SciPy gives with 20,000 resamples", () => {
    const options = { random: seededRandom(1), resamples: 20_000 };
    const accelerated = bootstrap(15, correlation, options);
    expect(accelerated.value).toBeCloseTo(0.7763744912894073, 12);
    expect(Math.abs(accelerated.low - 0.3455)).toBeLessThan(0.03);
    expect(Math.abs(accelerated.high - 0.9424)).toBeLessThan(0.01);
    const plain = bootstrap(15, correlation, { ...options, method: "percentile" });
    expect(Math.abs(plain.low - 0.4625)).toBeLessThan(0.02);
    expect(Math.abs(plain.high - 0.9624)).toBeLessThan(0.01);
  });

  it("gives the same bytes for the same seed and others for another", () => {
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });

  it("covers the true mean of a skewed sample about as often as it says, accelerated better than plain", () => {
    const random = seededRandom(7);
    const covered = { bca: 0, percentile: 0 };
    for (let trial = 0; trial < 300; trial++) {
      const values = Array.from({ length: 30 }, () => -Math.log(1 - random.next()));
      const mean = (indices: Uint32Array) => indices.reduce((sum, index) => sum + values[index], 0) / indices.length;
      for (const method of ["bca", "percentile"] as const) {
        const { low, high } = bootstrap(30, mean, { random: random.fork(`${trial}`), resamples: 400, method });
        if (low <= 1 && 1 <= high) covered[method]++;
      }
    }
    expect(covered.bca).toBeGreaterThan(0.89 * 300);
    expect(covered.bca).toBeGreaterThanOrEqual(covered.percentile);
  });

  it("reports a statistic that never changes as a point", () => {
    expect(bootstrap(5, () => 3, { random: seededRandom(1), resamples: 100 })).toEqual({ value: 3, low: 3, high: 3 });
  });

  it("refuses what cannot be resampled", () => {
    const random = seededRandom(1);
    expect(() => bootstrap(1, () => 1, { random })).toThrow(/≥ 2 samples/);
    expect(() => bootstrap(5, () => Number.NaN, { random })).toThrow(/NaN/);
    expect(() => bootstrap(5, () => 1, { random, resamples: 10 })).toThrow(/resamples/);
  });
});
