// Calibration error against sums by hand and its limits; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { calibrationDrift, expectedCalibrationError } from "./calibration.ts";
import { seededRandom } from "./random.ts";

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

describe("expected calibration error", () => {
  it("is the sum done by hand, with bins closed on the right", () => {
    // Two bins: (0, 0.5] holds 0.5 and 0.3, of which one is right; (0.5, 1] holds 0.8 and 1, both right.
    const found = expectedCalibrationError([0.5, 0.3, 0.8, 1], [1, 0, 1, 1], { bins: 2 });
    expect(found.bins).toEqual([
      { count: 2, confidence: 0.4, accuracy: 0.5 },
      { count: 2, confidence: 0.9, accuracy: 1 },
    ]);
    expect(found.error).toBeCloseTo(0.5 * 0.1 + 0.5 * 0.1, 12);
  });

  it("puts 0 into the first bin and leaves empty bins out", () => {
    const found = expectedCalibrationError([0, 0.99], [0, 1], { bins: 10 });
    expect(found.bins.map(({ count }) => count)).toEqual([1, 1]);
    expect(found.error).toBeCloseTo(0.005, 12);
  });

  it("splits equal masses by rank, ties included", () => {
    const found = expectedCalibrationError([0.9, 0.9, 0.9, 0.6, 0.7], [1, 1, 0, 1, 0], {
      bins: 2,
      binning: "equal-mass",
    });
    expect(found.bins.map(({ count }) => count)).toEqual([3, 2]);
  });

  it("lies between the gap of the means and 1, and equals that gap with one bin", () => {
    const samples = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 1 })), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(
        samples,
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom("equal-width", "equal-mass"),
        (pairs, bins, binning) => {
          const [confidences, correct] = [pairs.map(([one]) => one), pairs.map(([, one]) => one)];
          const gap = Math.abs(mean(confidences) - mean(correct));
          const { error, bins: filled } = expectedCalibrationError(confidences, correct, {
            bins,
            binning: binning,
          });
          expect(error).toBeGreaterThanOrEqual(gap - 1e-9);
          expect(error).toBeLessThanOrEqual(1 + 1e-9);
          expect(filled.reduce((sum, { count }) => sum + count, 0)).toBe(pairs.length);
          expect(expectedCalibrationError(confidences, correct, { bins: 1 }).error).toBeCloseTo(gap, 9);
        },
      ),
      { seed: 1 },
    );
  });

  it("nears 0 for outcomes drawn with the stated confidence", () => {
    const random = seededRandom(3);
    const confidences = Array.from({ length: 50_000 }, () => random.next());
    const correct = confidences.map((confidence) => Number(random.next() < confidence));
    expect(expectedCalibrationError(confidences, correct).error).toBeLessThan(0.012);
    expect(expectedCalibrationError(confidences, correct, { binning: "equal-mass" }).error).toBeLessThan(0.012);
  });

  it("refuses scores that are no probabilities, and unequal lengths", () => {
    expect(() => expectedCalibrationError([1.5], [1])).toThrow(/0…1/);
    expect(() => expectedCalibrationError([3], [1], { binning: "equal-mass" })).toThrow(/0…1/);
    expect(() => expectedCalibrationError([0.5], [])).toThrow(/one outcome/);
    expect(() => expectedCalibrationError([], [])).toThrow(/one outcome/);
  });
});

describe("drift of calibration", () => {
  it("is the difference of the two errors, with an interval that holds it; nothing against itself", () => {
    const random = seededRandom(5);
    const count = 2000;
    const confidences = Float64Array.from({ length: count }, () => 0.5 + 0.5 * random.next());
    const correct = Uint8Array.from(confidences, (confidence) => (random.next() < confidence ? 1 : 0));
    const first = { confidences, correct };
    const sure = { confidences: confidences.map((confidence) => (1 + confidence) / 2), correct };
    const { drift, ...errors } = calibrationDrift(first, sure, { random });
    expect(errors.first).toBe(expectedCalibrationError(confidences, correct).error);
    expect(errors.second).toBe(expectedCalibrationError(sure.confidences, correct).error);
    expect(drift.value).toBeCloseTo(errors.second - errors.first, 12);
    // Twice as sure of what was well calibrated: the mean of (1 − confidence) / 2 is 1/8.
    expect(drift.low).toBeLessThan(0.125);
    expect(drift.high).toBeGreaterThan(0.125);
    expect(drift.low).toBeGreaterThan(0.08);
    expect(calibrationDrift(first, first, { random }).drift).toEqual({ value: 0, low: 0, high: 0 });
  });

  it("refuses sides of other samples", () => {
    const one = { confidences: [0.9, 0.8], correct: [1, 0] };
    const other = { confidences: [0.9], correct: [1] };
    expect(() => calibrationDrift(one, other, { random: seededRandom(1) })).toThrow(/same samples/);
  });
});
