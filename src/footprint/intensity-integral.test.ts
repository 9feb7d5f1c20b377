// The step integral against sums done by hand and a brute-force oracle, and its laws: splitting, order, scale, no mixing.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure } from "../quantity/figure.ts";
import { evenEnergy, integrateEmissions, type EnergyOverTime } from "./intensity-integral.ts";
import { constantSeries, intensityAt, intensitySeries, type IntensitySeries } from "./intensity-series.ts";

const T0 = Date.UTC(2026, 0, 1) / 1000;
const HOUR = 3600;

/** Hourly values from T0; `null` leaves a gap. */
function hourly(values: readonly (number | null)[], extra: Partial<IntensitySeries> = {}): IntensitySeries {
  const steps = values.flatMap((value, hour) => (value === null ? [] : [{ value, start: T0 + hour * HOUR }]));
  return intensitySeries({
    startSeconds: steps.map(({ start }) => start),
    endSeconds: steps.map(({ start }) => start + HOUR),
    gramsPerKwh: steps.map(({ value }) => value),
    kind: "average",
    scope: "life-cycle",
    vintage: "test",
    source: "test series",
    method: "declared",
    ...extra,
  });
}

const yearly = (grams: number, scope: IntensitySeries["scope"] = "life-cycle", spread = 0.2): IntensitySeries =>
  constantSeries({
    figure: figure({
      value: grams,
      low: grams * (1 - spread),
      high: grams * (1 + spread),
      unit: "gCO2e/kWh",
      method: "modelled",
      sources: ["yearly average"],
    }),
    kind: "average",
    scope,
    vintage: "2025",
  });

const joules = (value: number) => figure({ value, unit: "J", method: "measured", sources: ["meter"] });

function energyOf(pieces: readonly (readonly [from: number, to: number, energy: number])[]): EnergyOverTime {
  return {
    startSeconds: pieces.map(([from]) => T0 + from),
    endSeconds: pieces.map(([, to]) => T0 + to),
    energyJoules: pieces.map(([, , energy]) => energy),
    total: joules(pieces.reduce((sum, [, , energy]) => sum + energy, 0)),
  };
}

describe("integrateEmissions", () => {
  it("is the sum done by hand, partial overlaps included", () => {
    // 1.5 kWh from 00:30 to 02:00: a third of it at 100, two thirds at 400 g/kWh: 50 + 400 = 450 g.
    const energy = evenEnergy(joules(1.5 * 3.6e6), T0 + HOUR / 2, T0 + 2 * HOUR);
    const { emissions, intensity, coverage } = integrateEmissions(energy, hourly([100, 400, 900]));
    expect(emissions.value).toBeCloseTo(450, 10);
    expect(emissions.unit).toBe("gCO2e");
    expect(intensity.value).toBeCloseTo(300, 10);
    expect(coverage.coveredFraction).toBe(1);
  });

  it("takes the step that starts at an instant for energy without duration", () => {
    const lump = evenEnergy(joules(3.6e6), T0 + HOUR, T0 + HOUR);
    expect(integrateEmissions(lump, hourly([100, 400])).emissions.value).toBe(400);
    expect(() => integrateEmissions(evenEnergy(joules(1), T0 + 2 * HOUR, T0 + 2 * HOUR), hourly([1, 2]))).toThrow(
      expect.objectContaining({ code: "E_SERIES" }),
    );
  });

  it("agrees with a sum second by second over random steps, gaps, orders and overlaps", () => {
    const value = fc.option(fc.integer({ min: 0, max: 900 }), { nil: null });
    const interval = fc.tuple(
      fc.integer({ min: -7200, max: 40_000 }),
      fc.integer({ min: 0, max: 9000 }),
      fc.nat(10_000),
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 10 }).filter((values) => values.some((entry) => entry !== null)),
        fc.array(interval, { minLength: 1, maxLength: 6 }),
        (values, intervals) => {
          const series = hourly(values);
          const pieces = intervals.map(([from, length, energy]) => [from, from + length, energy] as const);
          const result = integrateEmissions(energyOf(pieces), series, { fallback: yearly(500) });
          let [grams, covered, total] = [0, 0, 0];
          for (const [from, to, energy] of pieces) {
            const instants =
              to === from ? [from] : Array.from({ length: to - from }, (_, second) => from + second + 0.5);
            for (const instant of instants) {
              const known = intensityAt(series, T0 + instant);
              grams += (energy / instants.length / 3.6e6) * (known ?? 500);
              if (known !== undefined) covered += energy / instants.length;
            }
            total += energy;
          }
          expect(result.emissions.value).toBeCloseTo(grams, 6);
          if (total > 0) expect(result.coverage.coveredFraction).toBeCloseTo(covered / total, 9);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("does not depend on how the energy was cut into samples", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 200, maxLength: 200 }),
        fc.array(fc.double({ min: 0.001, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.double({ min: 1, max: 140, noNaN: true }),
        (values, cuts, startHour, hours) => {
          const series = hourly(values);
          const [from, length] = [startHour * HOUR, hours * HOUR];
          const edges = [0, ...cuts.toSorted((a, b) => a - b), 1];
          const parts = edges
            .slice(1)
            .map((edge, at) => [from + length * edges[at], from + length * edge, 7e6 * (edge - edges[at])] as const);
          const whole = integrateEmissions(energyOf([[from, from + length, 7e6]]), series).emissions.value;
          const cut = integrateEmissions(energyOf(parts), series).emissions.value;
          const added = parts.reduce(
            (sum, part) => sum + integrateEmissions(energyOf([part]), series).emissions.value,
            0,
          );
          expect(Math.abs(cut - whole)).toBeLessThanOrEqual(1e-9 * Math.max(whole, 1));
          expect(Math.abs(added - whole)).toBeLessThanOrEqual(1e-9 * Math.max(whole, 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("adds up over a year of five-minute steps in one interval as in a hundred thousand", () => {
    const count = 105_120;
    const series = intensitySeries({
      startSeconds: Array.from({ length: count }, (_, at) => T0 + at * 300),
      endSeconds: Array.from({ length: count }, (_, at) => T0 + (at + 1) * 300),
      gramsPerKwh: Array.from({ length: count }, (_, at) => 300 + 200 * Math.sin(at / 17)),
      kind: "marginal",
      scope: "direct CO2 only",
      vintage: "test",
      source: "sine",
      method: "declared",
    });
    const year = integrateEmissions(evenEnergy(joules(count), T0, T0 + count * 300), series);
    const samples = energyOf(Array.from({ length: count }, (_, at) => [at * 300, (at + 1) * 300, 1] as const));
    const sampled = integrateEmissions(samples, series);
    expect(Math.abs(sampled.emissions.value / year.emissions.value - 1)).toBeLessThan(1e-12);
    expect(sampled).toMatchObject({ kind: "marginal", scope: "direct CO2 only" });
  });

  it("says what was covered, estimated and filled, and widens the interval where it was filled", () => {
    const series = hourly([100, null, 300, 300], { estimated: Uint8Array.of(0, 1, 0) });
    const energy = evenEnergy(joules(4 * 3.6e6), T0, T0 + 4 * HOUR);
    const result = integrateEmissions(energy, series, { fallback: yearly(500) });
    expect(result.emissions.value).toBeCloseTo(1200, 9);
    expect(result.emissions).toMatchObject({
      low: expect.closeTo(1100, 9) as number,
      high: expect.closeTo(1300, 9) as number,
    });
    expect(result.coverage.coveredFraction).toBeCloseTo(0.75, 12);
    expect(result.coverage.estimatedFraction).toBeCloseTo(0.25, 12);
    expect(result.emissions.method).toBe("declared");
    expect(result.emissions.assumptions).toEqual([
      { key: "intensity-series.gap-filled", text: expect.stringMatching(/covers 75.0 % .* yearly average/) as string },
    ]);
    expect(() => integrateEmissions(energy, series)).toThrow(
      /no value from 2026-01-01T01:00:00Z to 2026-01-01T02:00:00Z/,
    );
  });

  it("never mixes average with marginal, nor life-cycle with direct", () => {
    const energy = evenEnergy(joules(1), T0, T0 + HOUR);
    const basis = expect.objectContaining({ code: "E_BASIS" }) as unknown;
    const marginal = hourly([100], { kind: "marginal" });
    expect(() => integrateEmissions(energy, marginal, { fallback: yearly(500) })).toThrow(basis);
    expect(() => integrateEmissions(energy, hourly([100]), { fallback: yearly(500, "direct") })).toThrow(basis);
  });

  it("refuses negative energy, time that runs backwards, a total that does not add up, and other units", () => {
    const series = hourly([100]);
    const energy = energyOf([[0, 60, 10]]);
    for (const [broken, code] of [
      [{ ...energy, energyJoules: [-1], total: joules(-1) }, "E_RANGE"],
      [{ ...energy, energyJoules: [Number.NaN] }, "E_RANGE"],
      [{ ...energy, endSeconds: [T0 - 1] }, "E_RANGE"],
      [{ ...energy, endSeconds: [] }, "E_RANGE"],
      [{ ...energy, total: joules(11) }, "E_RANGE"],
      [{ ...energy, total: figure({ value: 10, unit: "kWh", method: "measured" }) }, "E_UNIT"],
    ] as const) {
      expect(() => integrateEmissions(broken, series)).toThrow(expect.objectContaining({ code }));
    }
  });

  it("gives 0 g for no energy, at the intensity of the time", () => {
    const mean = (pieces: Parameters<typeof energyOf>[0], fallback?: IntensitySeries) => {
      const { emissions, intensity } = integrateEmissions(energyOf(pieces), hourly([100, 400]), { fallback });
      expect(emissions.value).toBe(0);
      return intensity.value;
    };
    expect(mean([])).toBe(250);
    expect(mean([[0, 5400, 0]])).toBeCloseTo(200, 9);
    expect(mean([[0, 0, 0]])).toBe(100);
    expect(mean([[3600, 10_800, 0]])).toBeCloseTo(400, 9);
    expect(mean([[3600, 10_800, 0]], yearly(600))).toBeCloseTo(500, 9);
  });
});

describe("intensitySeries", () => {
  it("refuses steps that overlap, run backwards or hold what no grid emits", () => {
    const make = (start: number[], end: number[], grams: number[]) => () =>
      intensitySeries({
        startSeconds: start,
        endSeconds: end,
        gramsPerKwh: grams,
        kind: "average",
        scope: "undeclared",
        vintage: "",
        source: "",
        method: "declared",
      });
    const series = expect.objectContaining({ code: "E_SERIES" }) as Error;
    const range = expect.objectContaining({ code: "E_RANGE" }) as Error;
    expect(make([], [], [])).toThrow(series);
    expect(make([0, 5], [10, 15], [1, 1])).toThrow(series);
    expect(make([10, 0], [20, 10], [1, 1])).toThrow(series);
    expect(make([0], [0], [1])).toThrow(series);
    expect(make([0], [1], [-1])).toThrow(range);
    expect(make([0], [1], [400_000])).toThrow(range);
    expect(make([0], [1], [Number.NaN])).toThrow(range);
  });
});
