// Units of carbon intensity as headers and APIs write them, as exact factors to gCO2e/kWh; may depend on quantity.
// Wider than `parseIntensity`, which takes what a user types: files name units as their publishers please.
import { GRAMS_PER_POUND } from "../quantity/convert.ts";

/** Grams in a unit of mass. */
const GRAMS: Readonly<Record<string, number>> = {
  mg: 1e-3,
  g: 1,
  gram: 1,
  grams: 1,
  kg: 1e3,
  kilogram: 1e3,
  kilograms: 1e3,
  t: 1e6,
  ton: Number.NaN, // short, long or metric: nobody can say
  tons: Number.NaN,
  tonne: 1e6,
  tonnes: 1e6,
  lb: GRAMS_PER_POUND,
  lbs: GRAMS_PER_POUND,
  pound: GRAMS_PER_POUND,
  pounds: GRAMS_PER_POUND,
};

const KILOWATT_HOURS: Readonly<Record<string, number>> = {
  wh: 1e-3,
  kwh: 1,
  mwh: 1e3,
  gwh: 1e6,
  mj: 1 / 3.6,
  gj: 1e3 / 3.6,
};

export interface IntensityUnit {
  /** As found: `lb/MWh`, `gCO₂eq/kWh`. */
  readonly text: string;
  /** Multiply by this to get g/kWh. */
  readonly gramsPerKwh: number;
}

const UNIT = new RegExp(
  `(?<![a-z])(${Object.keys(GRAMS).join("|")})[\\s_]*(?:of[\\s_]*)?(?:co[\\s_]?2)?[\\s_-]*(?:equivalent|equiv|eq|e)?[\\s_.]*(?:/|[\\s_]per[\\s_])[\\s_]*(${Object.keys(KILOWATT_HOURS).join("|")})(?![a-z])`,
  "i",
);

/**
 * The unit of mass per energy in a text, e.g. a column's header; undefined when there is none.
 *
 * The factor is a quotient of two exact numbers: `lb/MWh` gives 453.59237 / 1000. A `ton` is refused, since it may be
 * short, long or metric.
 * @example intensityUnit("MOER (lbs_co2_per_mwh)")?.gramsPerKwh // 0.45359237
 */
export function intensityUnit(text: string): IntensityUnit | undefined {
  const match = UNIT.exec(text.replaceAll("₂", "2").replaceAll("·", " "));
  if (match === null) return undefined;
  const grams = GRAMS[(match[1] ?? "").toLowerCase()];
  const kwh = KILOWATT_HOURS[(match[2] ?? "").toLowerCase()];
  if (grams === undefined || kwh === undefined || Number.isNaN(grams)) return undefined;
  return { text: match[0].trim(), gramsPerKwh: grams / kwh };
}
