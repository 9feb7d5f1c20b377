// Shapes and yearly averages standing in: the year's mean is kept, the hours differ as they should, and the band tells what it costs.
import { describe, expect, it } from "vitest";
import { figure } from "../quantity/figure.ts";
import { shapedSeries, yearlySeries, type MonthHourShape } from "./intensity-fallback.ts";
import { evenEnergy, integrateEmissions } from "./intensity-integral.ts";
import { intensityAt } from "./intensity-series.ts";

const yearly = {
  figure: figure({ value: 300, low: 270, high: 330, unit: "gCO2e/kWh", method: "modelled", sources: ["atlas"] }),
  kind: "average",
  scope: "life-cycle",
  vintage: "2025",
} as const;
/** Cleaner at noon and in summer. */
const shape: MonthHourShape = {
  year: 2020,
  byMonthHour: Array.from({ length: 12 }, (_, month) =>
    Array.from(
      { length: 24 },
      (__, hour) => 400 + 50 * Math.cos((month * Math.PI) / 6) - (hour >= 10 && hour < 15 ? 150 : 0),
    ),
  ),
};
const at = (year: number, month: number, hour = 0): number => Date.UTC(year, month, 1, hour) / 1000;
const year = { fromSeconds: at(2025, 0), toSeconds: at(2026, 0) };

describe("shapedSeries", () => {
  it("has the yearly average as its mean over a year", () => {
    const series = shapedSeries(yearly, shape, year);
    const energy = evenEnergy(
      figure({ value: 3.6e6, unit: "J", method: "measured" }),
      year.fromSeconds,
      year.toSeconds,
    );
    expect(integrateEmissions(energy, series).emissions.value / 300).toBeCloseTo(1, 3); // leap days aside
  });

  it("has hours in the proportion of the shape, whatever the shape's unit", () => {
    const series = shapedSeries(yearly, shape, year);
    const [noon, night] = [intensityAt(series, at(2025, 6, 12)), intensityAt(series, at(2025, 6, 2))];
    expect((noon ?? 0) / (night ?? 1)).toBeCloseTo(shape.byMonthHour[6][12] / shape.byMonthHour[6][2], 12);
    const scaled = { ...shape, byMonthHour: shape.byMonthHour.map((hours) => hours.map((value) => value / 1000)) };
    expect(intensityAt(shapedSeries(yearly, scaled, year), at(2025, 6, 12))).toBeCloseTo(noon ?? 0, 9);
  });

  it("covers a period that starts and ends within hours, and says what it assumed", () => {
    const period = { fromSeconds: at(2026, 2) + 10, toSeconds: at(2026, 2) + 20 };
    const series = shapedSeries(yearly, shape, period);
    expect([...series.startSeconds]).toEqual([at(2026, 2)]);
    expect(series.assumptions.map(({ key }) => key)).toEqual(["intensity-series.shape"]);
    expect(series).toMatchObject({ kind: "average", scope: "life-cycle", vintage: "2025, shape of 2020" });
  });

  it("is wider than the year's average, narrower than a flat guess, and narrows as the period grows", () => {
    const hour = { fromSeconds: at(2025, 3), toSeconds: at(2025, 3, 1) };
    const width = ({ band }: { band: readonly [number, number] }) => band[1] - band[0];
    const [shapedHour, flatHour] = [shapedSeries(yearly, shape, hour), yearlySeries(yearly, hour)];
    expect(width(shapedHour)).toBeLessThan(width(flatHour));
    expect(flatHour.band[0]).toBeCloseTo(0.9 * (1 - 1.96 * 0.353), 3);
    expect(width(shapedSeries(yearly, shape, year))).toBeLessThan(width(shapedHour) / 2);
    expect(width(shapedSeries(yearly, shape, year))).toBeGreaterThan(0.2);
  });

  it("refuses what is no shape and a period that runs backwards", () => {
    const range = expect.objectContaining({ code: "E_RANGE" });
    const broken = (byMonthHour: number[][]) => () => shapedSeries(yearly, { year: 2020, byMonthHour }, year);
    expect(broken([])).toThrow(range);
    expect(broken(Array.from({ length: 12 }, () => Array.from({ length: 24 }, () => 0)))).toThrow(range);
    expect(broken(Array.from({ length: 12 }, () => Array.from({ length: 24 }, () => Number.NaN)))).toThrow(range);
    expect(() => shapedSeries(yearly, shape, { fromSeconds: 10, toSeconds: 0 })).toThrow(range);
    expect(() => shapedSeries(yearly, shape, { fromSeconds: 0, toSeconds: 1e11 })).toThrow(
      expect.objectContaining({ code: "E_LIMIT" }),
    );
  });
});
