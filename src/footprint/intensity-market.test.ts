// Market-based figures against sums done by hand, with the quality criteria that refuse a claim and those that are noted.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure } from "../quantity/figure.ts";
import { evenEnergy, integrateEmissions } from "./intensity-integral.ts";
import { reportBoth, type Instrument, type MarketInput } from "./intensity-market.ts";
import { constantSeries, type IntensityKind } from "./intensity-series.ts";

const grams = (value: number, spread = 0) =>
  figure({
    value,
    low: value * (1 - spread),
    high: value * (1 + spread),
    unit: "gCO2e/kWh",
    method: "declared",
    sources: ["x"],
  });
const energy = figure({ value: 1000 * 3.6e6, unit: "J", method: "measured", sources: ["meter"] });
const located = (kind: IntensityKind = "average") =>
  integrateEmissions(
    evenEnergy(energy, 0, 3600),
    constantSeries({ figure: grams(400), kind, scope: "direct", vintage: "2025" }),
  );
const ppa: Instrument = {
  kind: "contract",
  label: "PPA wind",
  fraction: 0.6,
  intensity: grams(0),
  scope: "direct",
  quality: { isRetired: true, isSameMarket: true, year: 2025 },
};
const both = (market?: MarketInput) => reportBoth(energy, located(), market);

describe("reportBoth", () => {
  it("is the sum done by hand: 60 % of 1,000 kWh at 0, the rest at a residual mix of 700", () => {
    const { locationBased, marketBased } = both({ instruments: [ppa], residualMix: grams(700), year: 2025 });
    expect(locationBased.emissions.value).toBe(400_000);
    expect(marketBased?.emissions.value).toBeCloseTo(280_000, 6);
    expect(marketBased?.intensity.value).toBeCloseTo(280, 9);
    expect(marketBased?.parts.map(({ kind, fraction }) => [kind, fraction])).toEqual([
      ["contract", 0.6],
      ["residual mix", 0.4],
    ]);
    expect(marketBased?.notes).toEqual([]);
    expect(marketBased?.emissions.assumptions).toEqual([]);
  });

  it("falls back on the grid average for the rest and says so", () => {
    const { marketBased } = both({ instruments: [ppa] });
    expect(marketBased?.emissions.value).toBeCloseTo(160_000, 6);
    expect(marketBased?.emissions.assumptions.map(({ key }) => key)).toEqual(["market-based.no-residual-mix"]);
  });

  it("is null when nothing was declared, and the residual mix alone when no instrument was", () => {
    expect(both().marketBased).toBeNull();
    expect(both({ instruments: [], residualMix: grams(700) }).marketBased?.emissions.value).toBeCloseTo(700_000, 6);
  });

  it("has parts that add up to the whole, for any shares", () => {
    const share = fc.tuple(fc.double({ min: 0.001, max: 1, noNaN: true }), fc.integer({ min: 0, max: 1000 }));
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 5 }), (shares) => {
        const total = Math.max(
          1,
          shares.reduce((sum, [fraction]) => sum + fraction, 0),
        );
        const instruments = shares.map(([fraction, value]) => ({
          ...ppa,
          fraction: fraction / total,
          intensity: grams(value, 0.1),
        }));
        const { marketBased } = both({ instruments, residualMix: grams(500, 0.2) });
        for (const end of ["low", "value", "high"] as const) {
          const parts = marketBased?.parts.reduce((sum, part) => sum + part.emissions[end], 0) ?? 0;
          expect(parts).toBeCloseTo(marketBased?.emissions[end] ?? -1, 3);
        }
        expect(marketBased?.parts.reduce((sum, { fraction }) => sum + fraction, 0)).toBeCloseTo(1, 9);
      }),
    );
  });

  it("notes each quality criterion that nobody answered, and an old vintage", () => {
    const silent = both({ instruments: [{ ...ppa, quality: undefined }], residualMix: grams(1) });
    expect(silent.marketBased?.notes).toHaveLength(3);
    const old = both({
      instruments: [{ ...ppa, quality: { ...ppa.quality, year: 2019 } }],
      residualMix: grams(1),
      year: 2025,
    });
    expect(old.marketBased?.notes).toEqual([expect.stringContaining("vintage 2019")]);
  });

  it("refuses more than all the energy, claims that cover nothing, other scopes, units, and margins", () => {
    const market = (change: Partial<Instrument>) => () => both({ instruments: [{ ...ppa, ...change }] });
    const code = (name: string) => expect.objectContaining({ code: name });
    expect(() => both({ instruments: [ppa, ppa] })).toThrow(code("E_RANGE"));
    expect(market({ fraction: 0 })).toThrow(code("E_RANGE"));
    expect(market({ fraction: Number.NaN })).toThrow(code("E_RANGE"));
    expect(market({ intensity: grams(-5) })).toThrow(code("E_RANGE"));
    expect(market({ scope: "life-cycle" })).toThrow(code("E_BASIS"));
    expect(market({ quality: { isRetired: false } })).toThrow(/not retired/);
    expect(market({ quality: { isSameMarket: false } })).toThrow(/another market/);
    expect(market({ intensity: figure({ value: 0, unit: "g/kWh", method: "declared" }) })).toThrow(code("E_UNIT"));
    expect(() => reportBoth(energy, located("marginal"), { instruments: [ppa] })).toThrow(code("E_BASIS"));
  });
});
