// Rates as people type them ("350gCO2e/kWh", "0.12EUR/kWh", "1.2") as numbers in base units, strictly; may depend on errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { GRAMS_PER_POUND } from "./convert.ts";

/** Unit as written, in its case -> factor to the base unit. */
type Units = Readonly<Record<string, number>>;

const INTENSITY: Units = {
  "gCO2e/kWh": 1,
  "gCO2eq/kWh": 1,
  "gCO2/kWh": 1,
  "g/kWh": 1,
  "kgCO2e/kWh": 1e3,
  "kg/kWh": 1e3,
  "kgCO2e/MWh": 1,
  "kg/MWh": 1,
  "tCO2e/MWh": 1e3,
  "t/MWh": 1e3,
  "lbCO2e/MWh": GRAMS_PER_POUND / 1e3,
  "lb/MWh": GRAMS_PER_POUND / 1e3,
};

const WATER_PER_ENERGY: Units = { "L/kWh": 1, "l/kWh": 1, "mL/kWh": 1e-3, "L/MWh": 1e-3, "m3/MWh": 1 };

const SPACE = "[\\s\\u00a0\\u202f]*";
const NUMBER = new RegExp(`^${SPACE}([+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?)${SPACE}(.*?)${SPACE}$`, "u");

interface Kind {
  /** `an energy`, as in "an energy needs a unit". */
  readonly name: string;
  readonly example: string;
}

/** Number and unit of a text. @throws LightfootError E_UNIT for what is no number with a unit, E_RANGE below 0 */
function split(text: string, { name, example }: Kind): { readonly value: number; readonly unit: string } {
  const match = NUMBER.exec(text);
  const value = Number(match?.[1]);
  if (match === null || !Number.isFinite(value)) {
    throw new LightfootError("E_UNIT", `'${text}' is not ${name}`, {
      hint: /^\s*[\d.]+,\d/.test(text)
        ? `Write the decimal sign as a point and thousands without a sign: ${example}`
        : `Write a number and its unit, e.g. ${example}`,
    });
  }
  if (value < 0) throw new LightfootError("E_RANGE", `'${text}' is negative, expected ${name} of 0 or more`);
  return { value, unit: (match[2] ?? "").replaceAll("₂", "2") };
}

function parseWith(text: string, units: Units, kind: Kind): number {
  const { value, unit } = split(text, kind);
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor !== undefined) return inRange(value * factor, text);
  const known = Object.keys(units);
  if (unit === "") {
    throw new LightfootError("E_UNIT", `'${text}' has no unit, and ${kind.name} needs one`, {
      hint: `Write it as e.g. ${kind.example}; known are ${known.join(", ")}.`,
    });
  }
  const near = known.find((name) => name.toLowerCase() === unit.toLowerCase());
  throw new LightfootError("E_UNIT", `'${text}' has the unit '${unit}', which is none of ${kind.name}`, {
    hint: near === undefined ? `Known are ${known.join(", ")}.` : `Did you mean ${near}? Upper and lower case differ.`,
  });
}

function inRange(value: number, text: string): number {
  if (Number.isFinite(value)) return value;
  throw new LightfootError("E_RANGE", `'${text}' is too large a number`);
}

/** A carbon intensity in gCO2e/kWh. @throws LightfootError E_UNIT, E_RANGE @example parseIntensity("0.35kg/kWh") // 350 */
export const parseIntensity = (text: string): number =>
  parseWith(text, INTENSITY, { name: "a carbon intensity", example: "350gCO2e/kWh" });

/** Water per energy in L/kWh; a bare number is L/kWh, as WUE is defined. @throws LightfootError E_UNIT, E_RANGE */
export function parseWaterPerEnergy(text: string): number {
  const kind = { name: "a water use per energy", example: "0.3 or 0.3L/kWh" };
  const { value, unit } = split(text, kind);
  return unit === "" ? value : parseWith(text, WATER_PER_ENERGY, kind);
}

/** A ratio without unit: `1.2`, `120%`. @throws LightfootError E_UNIT, E_RANGE */
export function parseRatio(text: string, name = "a ratio"): number {
  const kind = { name, example: "1.2" };
  const { value, unit } = split(text, kind);
  if (unit === "") return value;
  return parseWith(text, { "%": 0.01 }, kind);
}

/** What a price is per, with the factor that turns a price per written unit into one per base unit. */
const PER: Readonly<Record<"kWh" | "h" | "tCO2e", Units>> = {
  kWh: { kWh: 1, MWh: 1e-3, GWh: 1e-6 },
  h: { h: 1, hour: 1, d: 1 / 24 },
  tCO2e: { tCO2e: 1, tCO2: 1, t: 1, kgCO2e: 1e3, kg: 1e3 },
};

const PRICE_KIND: Readonly<Record<keyof typeof PER, Kind>> = {
  kWh: { name: "an electricity price", example: "0.12EUR/kWh" },
  h: { name: "a price of a device hour", example: "2.5USD/h" },
  tCO2e: { name: "a carbon price", example: "80EUR/tCO2e" },
};

// XXX and XTS are codes for "none" and "a test".
const CURRENCIES: ReadonlySet<string> = new Set(
  Intl.supportedValuesOf("currency").filter((code) => code !== "XXX" && code !== "XTS"),
);

/** A price in a currency per kWh, device hour or tonne. */
export interface ParsedPrice {
  readonly value: number;
  /** ISO 4217 code, e.g. `EUR`. */
  readonly currency: string;
  /** `EUR/kWh`. */
  readonly unit: string;
}

/**
 * A price; the currency is a code of three capital letters, since `$` is the sign of more than twenty currencies.
 *
 * @throws LightfootError E_UNIT, E_RANGE
 * @example parsePrice("120EUR/MWh", "kWh") // { value: 0.12, currency: "EUR", unit: "EUR/kWh" }
 */
export function parsePrice(text: string, per: keyof typeof PER): ParsedPrice {
  const kind = PRICE_KIND[per];
  const { value, unit } = split(text, kind);
  const match = /^([A-Z]{3})\s*\/\s*(\S+)$/u.exec(unit);
  const denominator = match?.[2] ?? "";
  const factor = Object.hasOwn(PER[per], denominator) ? PER[per][denominator] : undefined;
  if (match === null || factor === undefined) {
    throw new LightfootError("E_UNIT", `'${text}' is not ${kind.name}`, {
      hint: `Write amount, currency code and what it is per, e.g. ${kind.example}; known are ${Object.keys(PER[per])
        .map((name) => `/${name}`)
        .join(", ")}.`,
    });
  }
  const currency = match[1] ?? "";
  if (!CURRENCIES.has(currency)) {
    throw new LightfootError("E_UNIT", `'${text}' is in '${currency}', which is no currency`, {
      hint: "Currencies are codes of ISO 4217, e.g. EUR, USD, CNY.",
    });
  }
  return { value: inRange(value * factor, text), currency, unit: `${currency}/${per}` };
}
