// What a joule of this run makes in carbon, water and money: factors from the options, looked up once; may depend on footprint, facts, quantity and this room.
import { assessFootprint, type FootprintInput } from "../../footprint/assess.ts";
import { bounded, type EnergyBoundary } from "../../footprint/boundary.ts";
import type { Footprint } from "../../footprint/footprint-schema.ts";
import {
  constantSeries,
  intensityAt,
  timeMeanGramsPerKwh,
  type IntensitySeries,
} from "../../footprint/intensity-series.ts";
import { findPlace } from "../../facts/place.ts";
import { JOULES_PER_KWH } from "../../quantity/convert.ts";
import { exact, figure, type Figure } from "../../quantity/figure.ts";
import type { Stretch } from "../../pipeline/track/power-curve.ts";
import type { Rates } from "../../pipeline/track/session.ts";
import { givenFactors } from "../commands/footprint/input.ts";
import type { TrackFlags } from "./flags.ts";

export interface Factors {
  /** What one joule makes at an instant. */
  ratesAt(wallSeconds: number): Rates;
  /** gCO2e/kWh of the series at an instant; undefined in its gaps, and without a series. */
  gridAt(wallSeconds: number): number | undefined;
  /** In a gap of the series its mean stands in, which the result records as an assumption. */
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
 * Factors of the options; without a place and an intensity those of the world, with an interval that spans nations.
 *
 * @throws LightfootError E_USAGE for malformed options, E_PLACE_UNKNOWN; what reading a series throws
 */
export async function prepareFactors(flags: TrackFlags, thisYear: number): Promise<Factors> {
  const { intensity, price, pue, wue, intensitySeries, where } = flags;
  const place = where === undefined ? undefined : findPlace(where);
  const given = givenFactors({ intensity, price, pue, wue });
  const base: Base = { ...given, ...(place === undefined ? {} : { place }), thisYear };
  const series = intensitySeries === undefined ? undefined : await readSeries(intensitySeries);
  let last: { readonly grams: number | undefined; readonly rates: Rates } | undefined;
  const gridAt = (wallSeconds: number): number | undefined =>
    series === undefined ? undefined : intensityAt(series, wallSeconds);
  return {
    gridAt,
    ratesAt(wallSeconds) {
      const grams = gridAt(wallSeconds);
      // In a gap of the series the last known intensity stands in; the document says that there was a gap.
      if (last === undefined || (grams !== undefined && last.grams !== grams)) {
        last = { grams, rates: ratesOf(base, grams) };
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
      return assessFootprint({
        ...base,
        energy: part,
        over: { series, fallback: meanOf(series) },
        period,
        energyOverTime,
      });
    },
  };
}

async function readSeries(file: string): Promise<IntensitySeries> {
  const { readIntensityCsv } = await import("../../footprint/intensity-csv.ts");
  return (await readIntensityCsv(file)).series;
}

type Base = Omit<FootprintInput, "energy">;

/** What fills a gap of the series: its own mean, with all its values as the interval, and said to be assumed. */
function meanOf(series: IntensitySeries): IntensitySeries {
  const mean = timeMeanGramsPerKwh(series);
  const [low, high] = series.gramsPerKwh.reduce(
    ([a, b], grams) => [Math.min(a, grams), Math.max(b, grams)],
    [mean, mean],
  );
  const text = `The intensity series has no value for a part of the run: its mean of ${mean.toFixed(0)} (${low.toFixed(0)}…${high.toFixed(0)}) gCO2e/kWh stands in there.`;
  const { kind, scope, zone, vintage, source } = series;
  return constantSeries({
    figure: figure({
      value: mean,
      low: low * series.band[0],
      high: high * series.band[1],
      unit: "gCO2e/kWh",
      method: "assumed",
      sources: [source],
      assumptions: [{ key: "intensity.series-gap", text }],
    }),
    kind,
    scope,
    ...(zone === undefined ? {} : { zone }),
    vintage,
  });
}

/** Everything is proportional to energy, so that one kWh tells all. */
function ratesOf(base: Base, gramsPerKwh: number | undefined): Rates {
  const one = exact(JOULES_PER_KWH, "J", "one kWh");
  const now =
    gramsPerKwh === undefined
      ? {}
      : { intensity: { ...OF_SERIES, figure: figure({ value: gramsPerKwh, unit: "gCO2e/kWh", method: "declared" }) } };
  const found = assessFootprint({ ...base, ...now, energy: bounded(one, "node") });
  const parts = [found.emissions.locationBased, found.water.consumption, found.money.electricity];
  return new Map(parts.flatMap((part) => (part === null ? [] : [[part.unit, part.value / JOULES_PER_KWH] as const])));
}

/** What a series counts is told by the document; a live number has no room for it. */
const OF_SERIES = {
  kind: "average",
  scope: "undeclared",
  basis: "undeclared",
  vintage: "",
  dataset: "",
  licence: null,
} as const;
