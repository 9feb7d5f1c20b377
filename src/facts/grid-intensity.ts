// Grid intensities with the method each was made by, and which of them may be compared; may depend on errors, quantity and its room.
import { createRequire } from "node:module";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, type Figure } from "../quantity/figure.ts";
import { readTable } from "./table.ts";

/** Emissions per kilowatt-hour of a grid in one year, by one method. */
export interface GridIntensity {
  /** gCO2e/kWh. */
  readonly figure: Figure;
  readonly year: number;
  /** `life-cycle` counts fuels and plants too; `direct` the stacks' greenhouse gases; the last their CO2 alone. */
  readonly scope: "life-cycle" | "direct" | "direct CO2 only";
  /** With what is imported, or what is generated in the area. */
  readonly basis: "consumption" | "generation";
  readonly kind: "average" | "marginal";
  readonly dataset: string;
  readonly licence: string;
}

/** What two intensities must share before one may be called cleaner than the other. */
const METHOD_PARTS = ["scope", "basis", "kind"] as const;

/** How an intensity was made, in words: `life-cycle, consumption-based, average`. */
export const intensityMethod = ({ scope, basis, kind }: GridIntensity): string => `${scope}, ${basis}-based, ${kind}`;

/** Why these intensities must not be ranked or subtracted; undefined when they are of one method. */
export function incomparable(intensities: readonly GridIntensity[]): string | undefined {
  const methods = [...new Set(intensities.map(intensityMethod))];
  if (methods.length < 2) return undefined;
  return `grid intensities of different methods are not comparable: ${methods.join(" | ")}`;
}

/**
 * The intensities themselves, when one method made them all.
 *
 * A direct figure lies below a life-cycle figure of the same grid, so a ranking across methods says which office did the
 * sums and not which grid is cleaner.
 * @throws LightfootError E_BASIS naming the methods
 * @example comparableIntensities([findPlace("DE").intensities[0], findPlace("FR").intensities[0]])
 */
export function comparableIntensities(intensities: readonly GridIntensity[]): readonly GridIntensity[] {
  const why = incomparable(intensities);
  if (why === undefined) return intensities;
  const parts = METHOD_PARTS.filter((part) => new Set(intensities.map((entry) => entry[part])).size > 1);
  throw new LightfootError("E_BASIS", why, {
    hint: `They differ in ${parts.join(" and ")}: take the same dataset for each place, or show them side by side without ranking.`,
  });
}

/** The data inside the package `@tgwf/co2`, read when first asked for: nothing of it is copied into the project. */
interface Co2Data {
  readonly averageIntensity: { readonly data: Readonly<Record<string, number>> };
  readonly marginalIntensity: { readonly data: Readonly<Record<string, string | number>>; readonly year: string };
  readonly electricityMaps: Readonly<Record<string, { readonly data: Readonly<Record<string, ZoneYear>> }>>;
}

interface ZoneYear {
  readonly zone: { readonly zoneName: string };
  readonly carbonIntensity: { readonly value: number };
  readonly carbonFreeEnergy: { readonly value: number };
}

const PACKAGE = "@tgwf/co2 0.19.0";
const YEARS = [2025, 2024, 2023, 2022, 2021] as const;
let data: Co2Data | undefined;

function co2(): Co2Data {
  try {
    // By require, so that whoever never asks for a place does not pay for loading 352 zones of five years.
    data ??= createRequire(import.meta.url)("@tgwf/co2/data") as Co2Data;
    return data;
  } catch (cause) {
    throw new LightfootError(
      "E_DEPENDENCY",
      "the package @tgwf/co2, which brings the grid averages, cannot be loaded",
      {
        cause,
        hint: "Install Lightfoot again.",
      },
    );
  }
}

const zoneYear = (zone: string, year: number): ZoneYear | undefined => {
  const ofYear = co2().electricityMaps[`yearly${year}`]?.data;
  return ofYear !== undefined && Object.hasOwn(ofYear, zone) ? ofYear[zone] : undefined;
};

/** Electricity Maps' zones of the newest year, with their names. */
export function electricityMapsZones(): { readonly zone: string; readonly name: string }[] {
  const newest = co2().electricityMaps[`yearly${YEARS[0]}`]?.data ?? {};
  return Object.entries(newest).map(([zone, { zone: named }]) => ({ zone, name: named.zoneName }));
}

/** History is restated by up to 10 % in 308 of 351 zones, so that is the narrowest factor. */
const RESTATED = 1.1;

/**
 * Electricity Maps' yearly averages of a zone, newest first: life-cycle, consumption-based.
 *
 * Interval: divided and multiplied by the zone's own largest change from one year to the next, at least 1.1.
 */
export function electricityMapsYears(zone: string): GridIntensity[] {
  const known = YEARS.flatMap((year) => {
    const value = zoneYear(zone, year)?.carbonIntensity.value;
    return value === undefined || !(value > 0) ? [] : [{ year, value }];
  });
  const changes = known
    .slice(1)
    .map(({ value }, index) => Math.max(value / known[index].value, known[index].value / value));
  const factor = Math.max(RESTATED, ...changes);
  return known.map(({ year, value }) => ({
    figure: spread(value, factor, `Electricity Maps, zone ${zone}, average of ${year}, via ${PACKAGE}`),
    year,
    scope: "life-cycle",
    basis: "consumption",
    kind: "average",
    dataset: "Electricity Maps yearly",
    licence: "ODbL 1.0, credit Electricity Maps",
  }));
}

/** Share of a zone's electricity without carbon, newest year, by Electricity Maps. */
export function zoneCarbonFreeShare(zone: string): { readonly figure: Figure; readonly year: number } | undefined {
  const year = YEARS[0];
  const percent = zoneYear(zone, year)?.carbonFreeEnergy.value;
  if (percent === undefined) return undefined;
  const value = percent / 100;
  const source = `Electricity Maps, zone ${zone}, carbon-free share of ${year}, via ${PACKAGE}`;
  return {
    year,
    figure: figure({
      value,
      low: Math.max(0, value - 0.05),
      high: Math.min(1, value + 0.05),
      unit: "1",
      method: "declared",
      sources: [source],
    }),
  };
}

interface CountryHead {
  readonly interval: { readonly ember_factor: number };
}

/** Ember's average of a country (`DEU`) or of the world (`WORLD`): life-cycle, generation-based. */
export function emberAverage(iso3: string, year: number): GridIntensity | undefined {
  const averages = co2().averageIntensity.data;
  const value = Object.hasOwn(averages, iso3) ? averages[iso3] : undefined;
  // One country stands at 0; no grid's life cycle is without emissions, so that is unknown.
  if (value === undefined || !(value > 0)) return undefined;
  const { interval } = readTable("places/countries") as unknown as CountryHead;
  return {
    figure: spread(value, interval.ember_factor, `Ember, ${iso3}, average of ${year}, via ${PACKAGE}`),
    year,
    scope: "life-cycle",
    basis: "generation",
    kind: "average",
    dataset: "Ember yearly",
    licence: "CC BY-SA 4.0 as redistributed by co2.js; Ember, CC BY 4.0",
  };
}

/**
 * Marginal factor of a country from the harmonized IFI data set: what one kWh more emits, CO2 alone.
 *
 * A marginal 0 stands in the source for grids without fossil plants; it is left out, as one more kWh is then imported.
 */
export function marginalFactor(iso3: string): GridIntensity | undefined {
  const { data: factors, year } = co2().marginalIntensity;
  const value = Object.hasOwn(factors, iso3) ? Number(factors[iso3]) : Number.NaN;
  if (!(value > 0)) return undefined;
  return {
    figure: spread(value, 1.5, `UNFCCC IFI harmonized grid factors, ${iso3}, ${year}, via ${PACKAGE}`),
    year: Number(year),
    scope: "direct CO2 only",
    basis: "generation",
    kind: "marginal",
    dataset: "UNFCCC IFI",
    licence: "CC BY-SA 4.0 as redistributed by co2.js",
  };
}

/** A declared figure from value / factor to value × factor. */
export const spread = (value: number, factor: number, source: string, unit = "gCO2e/kWh"): Figure =>
  figure({ value, low: value / factor, high: value * factor, unit, method: "declared", sources: [source] });
