// Which quantity goes into which field of which format, in which unit, converted exactly; may depend on quantity and errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { GRAMS_PER_TONNE, JOULES_PER_KWH } from "../../quantity/convert.ts";
import type { Figure } from "../../quantity/figure.ts";

const LITRES_PER_CUBIC_METRE = 1000;

/** Every unit that a format prescribes: the base unit it is made from, and how many of those it holds. */
const FORMAT_UNITS = {
  kWh: { base: "J", size: JOULES_PER_KWH },
  MWh: { base: "J", size: 1_000 * JOULES_PER_KWH },
  J: { base: "J", size: 1 },
  tCO2eq: { base: "gCO2e", size: GRAMS_PER_TONNE },
  g: { base: "gCO2e", size: 1 },
  "g/kWh": { base: "gCO2e/kWh", size: 1 },
  FLOP: { base: "FLOP", size: 1 },
  m3: { base: "L", size: LITRES_PER_CUBIC_METRE },
  tCO2e: { base: "gCO2e", size: GRAMS_PER_TONNE },
  month: { base: "month", size: 1 },
  "1": { base: "1", size: 1 },
} as const;

export type FormatUnit = keyof typeof FORMAT_UNITS;

/** Where a quantity stands in each format, and in what unit. The units differ by up to 10^9. */
export const CROSSWALK = {
  cyclonedx: {
    energy: { field: "energyConsumptions[].activityEnergyCost", unit: "kWh" },
    emissions: { field: "energyConsumptions[].co2CostEquivalent", unit: "tCO2eq" },
  },
  "model-card": {
    energy: { field: "body, Energy", unit: "kWh" },
    emissions: { field: "co2_eq_emissions.emissions", unit: "g" },
    intensity: { field: "body, Grid intensity", unit: "g/kWh" },
  },
  "gpai-form": {
    energy: { field: "training.energy", unit: "MWh" },
    work: { field: "training.compute, inference.compute", unit: "FLOP" },
  },
  // In the units of the EU's reporting scheme, Delegated Regulation (EU) 2024/1364: kWh and cubic metres.
  "kpi-sheet": {
    siteEnergyJoules: { field: "Energy of the site", unit: "kWh" },
    itEnergyJoules: { field: "Energy of the IT equipment", unit: "kWh" },
    renewableEnergyJoules: { field: "Renewable energy", unit: "kWh" },
    reusedEnergyJoules: { field: "Reused energy", unit: "kWh" },
    waterLitres: { field: "Water consumed", unit: "m3" },
    emissionsGrams: { field: "Emissions, location-based", unit: "tCO2e" },
    months: { field: "Months covered", unit: "month" },
    pueCategory: { field: "Category of the PUE", unit: "1" },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, { field: string; unit: FormatUnit }>>>>;

/** A figure's numbers in the unit that a format prescribes. */
export interface Amount {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unit: FormatUnit;
}

/**
 * value / size, endpoint-wise.
 *
 * @throws LightfootError E_UNIT when the figure is of another quantity
 * @example inUnit(figure({ value: 7.2e6, unit: "J", method: "measured" }), "kWh").value // 2
 */
export function inUnit({ value, low, high, unit }: Figure, target: FormatUnit): Amount {
  const { base, size } = FORMAT_UNITS[target];
  if (unit !== base) throw new LightfootError("E_UNIT", `${target} is made from ${base}, found ${value} ${unit}`);
  return { value: value / size, low: low / size, high: high / size, unit: target };
}

/** A number in base units, in the unit that a format prescribes: value / size. */
export const fromBase = (value: number, unit: FormatUnit): number => value / FORMAT_UNITS[unit].size;

/** The way back, for a number that was read from a document: value · size, in the base unit. */
export const toBase = (value: number, unit: FormatUnit): number => value * FORMAT_UNITS[unit].size;

/**
 * A number as text with `digits` significant digits, trailing zeros included, never in exponents that YAML or Markdown
 * readers take for words.
 *
 * @example significant(0.000012345, 3) // "0.0000123"
 */
export function significant(value: number, digits: number): string {
  const short = value.toPrecision(digits);
  // toPrecision turns to exponents above 10^digits and below 1e-6; the former are whole numbers, the latter stay readable to 1e-20.
  if (!short.includes("e")) return short;
  if (Math.abs(value) >= 1 && Math.abs(value) < 1e21) return String(Number(short));
  const exponent = Number(short.split("e")[1]);
  const decimals = digits - 1 - exponent;
  return exponent < 0 && decimals <= 100 ? Number(short).toFixed(decimals) : short;
}
