// The assessment against sums done by hand, and its laws: linear, contained, PUE once, energy split additive; depends on its room, zod and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, type Figure } from "../quantity/figure.ts";
import type { GridIntensity } from "../facts/grid-intensity.ts";
import type { Price } from "../facts/prices.ts";
import { findPlace, listPlaces, type Place } from "../facts/place.ts";
import { assessFootprint, type FootprintInput } from "./assess.ts";
import { bounded, subtractWithin, type EnergyBoundary } from "./boundary.ts";
import { footprintSchema } from "./footprint-schema.ts";
import { factorOf } from "./grid-emissions.ts";
import { intensitySeries } from "./intensity-series.ts";

const given = (value: number, unit: string, low = value, high = value): Figure =>
  figure({ value, low, high, unit, method: "declared", sources: ["test"] });
const grid = (value: number, low = value, high = value, more: Partial<GridIntensity> = {}): GridIntensity => ({
  figure: given(value, "gCO2e/kWh", low, high),
  kind: "average",
  scope: "life-cycle",
  basis: "consumption",
  year: 2025,
  dataset: "test set",
  licence: "CC0",
  ...more,
});
const kwh = (value: number, boundary: EnergyBoundary = "IT", low = value, high = value) =>
  bounded(given(value * 3.6e6, "J", low * 3.6e6, high * 3.6e6), boundary);

const priceIn = (year: number, value: number): Price => ({
  figure: given(value, "EUR/kWh"),
  kind: "electricity",
  year,
  basis: "industry, without taxes",
  licence: "CC0",
});

const place: Place = {
  id: "XX",
  name: "Nowhere",
  kind: "country",
  intensities: [grid(400, 360, 440), grid(300, 300, 300, { scope: "direct", basis: "generation", dataset: "another" })],
  powerUsageEffectiveness: given(1.2, "1"),
  waterUsageEffectiveness: given(0.3, "L/kWh"),
  gridWater: given(2, "L/kWh", 1, 4),
  gridWaterWithdrawal: given(40, "L/kWh"),
  electricityPrice: priceIn(2026, 0.15),
};
const input: FootprintInput = { energy: kwh(12.5), place, thisYear: 2026 };

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof LightfootError ? error.code : "foreign";
  }
  return "none";
};

describe("assessFootprint", () => {
  it("is the sum done by hand: 12.5 kWh at PUE 1.2, 400 g/kWh, WUE 0.3, grid water 2 L/kWh", () => {
    const found = assessFootprint({
      ...input,
      embodied: { parts: [{ name: "board", count: 8, perUnit: given(164_000, "gCO2e") }], usedSeconds: 3 * 3600 },
      devices: { count: 8, seconds: 3 * 3600 },
      prices: {
        deviceHour: { figure: given(2.5, "USD/h"), basis: "given" },
        carbon: { figure: given(80, "EUR/tCO2e"), basis: "given" },
      },
      market: {
        instruments: [{ kind: "contract", fraction: 0.5, intensity: given(20, "gCO2e/kWh") }],
        residualMix: given(600, "gCO2e/kWh"),
      },
    });
    expect(found.energy.value / 3.6e6).toBeCloseTo(15, 12); // 12.5 · 1.2
    const { locationBased, marketBased, withEmbodied, otherMethods } = found.emissions;
    expect(locationBased).toMatchObject({
      boundary: "facility",
      kind: "average",
      scope: "life-cycle",
      vintage: "2025",
    });
    expect(locationBased.value).toBeCloseTo(6000, 9); // 15 · 400
    expect([locationBased.low, locationBased.high].map(Math.round)).toEqual([5400, 6600]);
    expect(otherMethods[0]).toMatchObject({ scope: "direct" });
    expect(otherMethods[0].value).toBeCloseTo(4500, 9); // 15 · 300
    expect(marketBased?.value).toBeCloseTo(15 * (0.5 * 20 + 0.5 * 600), 9);
    const { consumption, onSite, offSite, withdrawal } = found.water;
    expect(onSite.value).toBeCloseTo(3.75, 12); // 12.5 · 0.3: IT energy, not the facility's
    expect(offSite.value).toBeCloseTo(30, 12); // 15 · 2
    expect([consumption.low, consumption.value, consumption.high]).toEqual(
      [18.75, 33.75, 63.75].map((l) => expect.closeTo(l, 9)),
    );
    expect(withdrawal?.value).toBeCloseTo(600, 9);
    expect(found.embodied?.value).toBeCloseTo((8 * 164_000 * 3) / 35_040, 6);
    expect(withEmbodied?.value).toBeCloseTo(6000 + (8 * 164_000 * 3) / 35_040, 6);
    expect(found.boundary).toBe("facility+embodied");
    expect(found.money.electricity).toMatchObject({ unit: "EUR", isStale: false, priceAgeYears: 0 });
    expect(found.money.electricity?.value).toBeCloseTo(2.25, 12); // 15 · 0.15
    expect(found.deviceHours).toMatchObject({ value: 24, unit: "device-h" });
    expect(found.money.deviceHours).toMatchObject({ value: 60, unit: "USD" }); // 24 · 2.5
    expect(found.money.carbon).toMatchObject({ unit: "EUR" });
    expect(found.money.carbon?.value).toBeCloseTo(0.48, 12); // 0.006 t · 80
    expect(footprintSchema.parse(JSON.parse(JSON.stringify(found)))).toEqual(JSON.parse(JSON.stringify(found)));
  });

  it("prints a boundary with each figure, and refuses their difference across boundaries", () => {
    const found = assessFootprint({
      ...input,
      embodied: { parts: [{ name: "board", count: 1, perUnit: given(1000, "gCO2e") }], usedSeconds: 1 },
    });
    const { locationBased, withEmbodied } = found.emissions;
    expect(withEmbodied).not.toBeNull();
    if (withEmbodied !== null) expect(code(() => subtractWithin(withEmbodied, locationBased))).toBe("E_BASIS");
    expect(found.energyByBoundary.map(({ boundary }) => boundary)).toEqual(["IT", "facility"]);
  });

  it("scales linearly, adds up over a split of the energy, and contains every admissible truth", () => {
    const amount = fc.double({ min: 0.001, max: 1e6, noNaN: true });
    const inside = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(amount, amount, inside, inside, inside, (one, other, a, b, c) => {
        const of = (value: number) => assessFootprint({ ...input, energy: kwh(value) });
        const [left, right, both, twice] = [of(one), of(other), of(one + other), of(2 * one)];
        expect(twice.emissions.locationBased.value / left.emissions.locationBased.value).toBeCloseTo(2, 9);
        for (const pick of [
          (found: typeof left) => found.emissions.locationBased,
          (found: typeof left) => found.water.consumption,
          (found: typeof left) => found.money.electricity ?? given(Number.NaN, "EUR"),
        ]) {
          expect((pick(left).value + pick(right).value) / pick(both).value).toBeCloseTo(1, 9);
        }
        const [low, high] = [0.9 * one, 1.2 * one];
        const pue = given(1.2, "1", 1.1, 1.5);
        const banded = assessFootprint({
          ...input,
          energy: kwh(one, "IT", low, high),
          factors: { powerUsageEffectiveness: pue },
        });
        const truth = (low + a * (high - low)) * (1.1 + b * 0.4) * (360 + c * 80);
        const { locationBased } = banded.emissions;
        expect(truth).toBeGreaterThanOrEqual(locationBased.low * (1 - 1e-9));
        expect(truth).toBeLessThanOrEqual(locationBased.high * (1 + 1e-9));
      }),
      { seed: 31 },
    );
  });

  it("counts energy over time with a series, PUE in it once", () => {
    const series = intensitySeries({
      startSeconds: [0, 3600],
      endSeconds: [3600, 7200],
      gramsPerKwh: [100, 500],
      kind: "marginal",
      scope: "direct",
      vintage: "2026-01-01",
      source: "test series",
      method: "declared",
    });
    const found = assessFootprint({ ...input, over: { series }, period: { fromSeconds: 0, toSeconds: 7200 } });
    expect(found.emissions.locationBased.value).toBeCloseTo(15 * 300, 9);
    expect(found.emissions.locationBased).toMatchObject({ kind: "marginal", coveredFraction: 1 });
    const late = assessFootprint({
      ...input,
      over: { series },
      energyOverTime: { startSeconds: [3600], endSeconds: [7200], energyJoules: [12.5 * 3.6e6], total: input.energy },
    });
    expect(late.emissions.locationBased.value).toBeCloseTo(15 * 500, 9);
    expect(code(() => assessFootprint({ ...input, over: { series } }))).toBe("E_USAGE");
    expect(
      code(() => assessFootprint({ ...input, over: { series }, period: { fromSeconds: 0, toSeconds: 9000 } })),
    ).toBe("E_SERIES");
    expect(code(() => assessFootprint({ ...input, period: { fromSeconds: 5, toSeconds: 0 } }))).toBe("E_RANGE");
  });

  it("says what it assumed, lists what it cannot say, and invents nothing", () => {
    const bare = assessFootprint({ energy: kwh(1), intensity: factorOf(grid(400)), thisYear: 2026 });
    expect(bare.assumptions.map(({ key }) => key).toSorted()).toEqual([
      "grid-water.unknown",
      "pue.unknown",
      "wue.unknown",
    ]);
    expect(bare.unknown.map(({ what }) => what)).toEqual(["embodied", "market-based emissions", "electricity cost"]);
    expect(bare).toMatchObject({
      embodied: null,
      boundary: "facility",
      money: { electricity: null, deviceHours: null },
    });
    expect(bare.emissions).toMatchObject({ marketBased: null, withEmbodied: null });
    expect(bare.emissions.locationBased.method).toBe("assumed");
    expect(bare.water.withdrawal).toBeNull();
  });

  it("takes the world's average for an unknown place, with a band in which nations lie", () => {
    const found = assessFootprint({ energy: kwh(1), thisYear: 2026 });
    const { intensity, method } = found.emissions.locationBased;
    expect(found.place?.id).toBe("world");
    expect(method).toBe("assumed");
    expect(found.assumptions.map(({ key }) => key)).toContain("place.unknown");
    for (const nation of ["FR", "BR", "DE", "US", "CN", "IN", "PL"]) {
      const average = findPlace(nation).intensities[0].figure.value;
      expect(intensity.low, nation).toBeLessThanOrEqual(average);
      expect(intensity.high, nation).toBeGreaterThanOrEqual(average);
    }
  });

  it("assesses every place of the catalogue, or says that its intensity is not known", () => {
    let assessed = 0;
    for (const { id } of listPlaces()) {
      const somewhere = findPlace(id);
      if (somewhere.intensities.length === 0) {
        expect(
          code(() => assessFootprint({ energy: kwh(1), place: somewhere, thisYear: 2026 })),
          id,
        ).toBe("E_USAGE");
        continue;
      }
      const found = assessFootprint({ energy: kwh(1), place: somewhere, thisYear: 2026 });
      expect(footprintSchema.safeParse(found).success, id).toBe(true);
      // Between an all-hydro grid and one of oil at the worst PUE.
      expect(found.emissions.locationBased.value, id).toBeGreaterThan(1);
      expect(found.emissions.locationBased.value, id).toBeLessThan(2000);
      assessed += 1;
    }
    expect(assessed).toBeGreaterThan(500);
  });

  it("takes an energy of zero, and a facility's meter without PUE on top", () => {
    expect(assessFootprint({ ...input, energy: kwh(0) }).emissions.locationBased.value).toBe(0);
    const metered = assessFootprint({ ...input, energy: kwh(15, "facility") });
    expect(metered.emissions.locationBased.value).toBeCloseTo(6000, 9);
    expect(metered.water.onSite.value).toBeCloseTo(3.75, 9);
  });

  it("draws a stale price as a range that widens with its age, and a fresh one as it is", () => {
    const at = (year: number) =>
      assessFootprint({ ...input, prices: { electricity: priceIn(year, 0.1) } }).money.electricity;
    expect(at(2025)).toMatchObject({ isStale: false, priceAgeYears: 1 });
    expect(at(2025)?.low).toBe(at(2025)?.high);
    const [two, four] = [at(2024), at(2022)];
    expect(two).toMatchObject({ isStale: true, priceAgeYears: 2 });
    expect(two?.assumptions.map(({ key }) => key)).toContain("price.stale");
    expect((four?.high ?? 0) - (four?.low ?? 0)).toBeGreaterThan((two?.high ?? 0) - (two?.low ?? 0));
    expect(two?.value).toBeCloseTo(1.5, 12);
  });

  it("refuses prices per something else, and intensities in another unit", () => {
    const wrong = { figure: given(0.1, "EUR/h"), basis: "given" };
    expect(code(() => assessFootprint({ ...input, prices: { electricity: wrong } }))).toBe("E_UNIT");
    const euro = { figure: given(0.1, "€/kWh"), basis: "given" };
    expect(code(() => assessFootprint({ ...input, prices: { electricity: euro } }))).toBe("E_UNIT");
    const kilograms = { ...factorOf(grid(0.4)), figure: given(0.4, "kgCO2e/kWh") };
    expect(code(() => assessFootprint({ ...input, intensity: kilograms }))).toBe("E_UNIT");
  });
});
