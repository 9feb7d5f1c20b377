// What a joule of this run makes in carbon, water and money: factors from the options, looked up once; may depend on footprint, quantity and this room.
import { assessFootprint, type FootprintInput } from "../../footprint/assess.ts";
import { bounded, type EnergyBoundary } from "../../footprint/boundary.ts";
import type { Footprint } from "../../footprint/footprint-schema.ts";
import { intensityAt, type IntensitySeries } from "../../footprint/intensity-series.ts";
import { JOULES_PER_KWH } from "../../quantity/convert.ts";
import { exact, figure, type Figure } from "../../quantity/figure.ts";
import type { Stretch } from "../../pipeline/track/power-curve.ts";
import type { Rates } from "../../pipeline/track/session.ts";
import { givenFactors } from "../commands/footprint/input.ts";
import type { TrackFlags } from "./flags.ts";

export interface Factors {
  readonly series: IntensitySeries | undefined;
  /** What one joule makes at an instant. */
  ratesAt(wallSeconds: number): Rates;
  /** gCO2e/kWh at an instant; undefined in a gap of the series. */
  gridAt(wallSeconds: number): number | undefined;
  /** @throws LightfootError E_SERIES when the series has a gap during the run */
  assess(energy: Figure, when: RunTime): Footprint;
}

export interface RunTime {
  readonly fromSeconds: number;
  readonly toSeconds: number;
  /** Relative to `fromSeconds`. */
  readonly stretches: readonly Stretch[];
  readonly boundary: EnergyBoundary;
}

/**
 * Factors of the options; undefined when there is neither an intensity nor a place.
 *
 * @throws LightfootError E_USAGE for malformed options; what reading a series throws
 */
export async function prepareFactors(flags: TrackFlags, thisYear: number): Promise<Factors | undefined> {
  const { intensity, price, pue, wue, intensitySeries } = flags;
  const given = givenFactors({ intensity, price, pue, wue });
  if (intensity === undefined && intensitySeries === undefined) return undefined;
  const series = intensitySeries === undefined ? undefined : await readSeries(intensitySeries);
  const base = { ...given, thisYear };
  let last: { readonly grams: number | undefined; readonly rates: Rates } | undefined;
  const gridAt = (wallSeconds: number): number | undefined =>
    series === undefined ? base.intensity?.figure.value : intensityAt(series, wallSeconds);
  return {
    series,
    gridAt,
    ratesAt(wallSeconds) {
      const grams = gridAt(wallSeconds);
      if (last === undefined || (grams !== undefined && last.grams !== grams)) {
        last = { grams, rates: ratesOf(base, grams ?? 0) };
      }
      return last.rates;
    },
    assess(energy, { fromSeconds, toSeconds, stretches, boundary }) {
      const period = { fromSeconds, toSeconds };
      const part = bounded(energy, boundary);
      if (series === undefined) return assessFootprint({ ...base, energy: part, period });
      const sum = stretches.reduce((joules, stretch) => joules + stretch.joules, 0);
      const energyOverTime =
        sum > 0
          ? {
              startSeconds: stretches.map((stretch) => fromSeconds + stretch.fromSeconds),
              endSeconds: stretches.map((stretch) => fromSeconds + stretch.toSeconds),
              energyJoules: stretches.map(({ joules }) => (joules / sum) * energy.value),
              total: energy,
            }
          : undefined;
      return assessFootprint({ ...base, energy: part, over: { series }, period, energyOverTime });
    },
  };
}

async function readSeries(file: string): Promise<IntensitySeries> {
  const { readIntensityCsv } = await import("../../footprint/intensity-csv.ts");
  return (await readIntensityCsv(file)).series;
}

type Base = Omit<FootprintInput, "energy">;

/** Everything is proportional to energy, so that one kWh tells all. */
function ratesOf(base: Base, gramsPerKwh: number): Rates {
  const one = exact(JOULES_PER_KWH, "J", "one kWh");
  const constant = {
    figure: figure({ value: gramsPerKwh, unit: "gCO2e/kWh", method: "declared" }),
    kind: "average",
    scope: "undeclared",
    basis: "undeclared",
    vintage: "",
    dataset: "",
    licence: null,
  } as const;
  const found = assessFootprint({ ...base, intensity: constant, energy: bounded(one, "node") });
  const parts = [found.emissions.locationBased, found.water.consumption, found.money.electricity];
  return new Map(parts.flatMap((part) => (part === null ? [] : [[part.unit, part.value / JOULES_PER_KWH] as const])));
}
