// Amounts as people type them (`2kWh`, `500gCO2e`, `3EUR`, `10L`, `400gCO2e/kWh`) in base units; may depend on errors and quantity.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { JOULES_PER_KWH } from "../../quantity/convert.ts";

/** A positive amount in the base unit of what it counts. */
export interface Amount {
  readonly value: number;
  /** `J`, `gCO2e`, `L`, or a currency. */
  readonly unit: string;
  /** As it was typed. */
  readonly text: string;
}

/** Base unit and factor by the unit's spelling. */
const UNITS: ReadonlyMap<string, readonly [unit: string, factor: number]> = new Map([
  ["J", ["J", 1]],
  ["kJ", ["J", 1e3]],
  ["MJ", ["J", 1e6]],
  ["GJ", ["J", 1e9]],
  ["Wh", ["J", JOULES_PER_KWH / 1e3]],
  ["kWh", ["J", JOULES_PER_KWH]],
  ["MWh", ["J", JOULES_PER_KWH * 1e3]],
  ["gCO2e", ["gCO2e", 1]],
  ["kgCO2e", ["gCO2e", 1e3]],
  ["tCO2e", ["gCO2e", 1e6]],
  ["mL", ["L", 1e-3]],
  ["L", ["L", 1]],
  ["m3", ["L", 1e3]],
]);

/** Number and unit; the number may have an exponent, digits may not be grouped (`1,5` could be 1.5 or 15). */
const AMOUNT = /^\s*((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]\S*)?\s*$/;

function split(text: string, what: string, example: string): { value: number; unit: string } {
  const [, number, unit = ""] = AMOUNT.exec(text) ?? [];
  const value = Number(number);
  if (number === undefined || !Number.isFinite(value) || value <= 0) {
    throw new LightfootError("E_USAGE", `${what} is a positive number with its unit, found "${text}"`, {
      hint: `Write it like ${example}.`,
    });
  }
  return { value, unit };
}

/**
 * A budget: energy, carbon, water or money.
 *
 * @throws LightfootError E_USAGE for anything else, also for a bare number
 * @example parseBudget("2kWh") // { value: 7_200_000, unit: "J", text: "2kWh" }
 */
export function parseBudget(text: string): Amount {
  const { value, unit } = split(text, "a budget", "2kWh, 500gCO2e, 10L or 3EUR");
  const spelled = unit.replace(/CO2(eq)?$/, "CO2e");
  const known = UNITS.get(spelled);
  if (known !== undefined) return { value: value * known[1], unit: known[0], text: text.trim() };
  if (/^[A-Z]{3}$/.test(unit)) return { value, unit, text: text.trim() };
  throw new LightfootError("E_USAGE", `a budget has a unit of energy, carbon, water or money, found "${text}"`, {
    hint: `Units: ${[...UNITS.keys()].join(", ")}, or a currency of three capitals: EUR, USD, CNY.`,
  });
}

/**
 * An intensity limit, gCO2e/kWh.
 *
 * @throws LightfootError E_USAGE
 * @example parseIntensity("400gCO2e/kWh") // 400
 */
export function parseIntensity(text: string): number {
  const { value, unit } = split(text, "an intensity", "400gCO2e/kWh");
  const factor = { "g/kWh": 1, "gCO2e/kWh": 1, "kgCO2e/kWh": 1e3, "kgCO2e/MWh": 1 }[
    unit.replace(/CO2(eq)?\//, "CO2e/")
  ];
  if (factor !== undefined) return value * factor;
  throw new LightfootError("E_USAGE", `an intensity is carbon for energy, found "${text}"`, {
    hint: "Write it like 400gCO2e/kWh.",
  });
}

/** Seconds of a time such as `500ms`, `2s`, `1.5min`, `2h`. @throws LightfootError E_USAGE */
export function parseSeconds(text: string): number {
  const { value, unit } = split(text, "a time", "500ms, 2s or 10min");
  const factor = { ms: 1e-3, s: 1, min: 60, m: 60, h: 3600 }[unit];
  if (factor !== undefined) return value * factor;
  throw new LightfootError("E_USAGE", `a time has the unit ms, s, min or h, found "${text}"`, {
    hint: "Write it like 500ms, 2s or 10min.",
  });
}

/** Watts of a power such as `12W` or `1.2kW`. @throws LightfootError E_USAGE */
export function parseWatts(text: string): number {
  const { value, unit } = split(text, "a power", "12W or 1.2kW");
  const factor = { mW: 1e-3, W: 1, kW: 1e3 }[unit];
  if (factor !== undefined) return value * factor;
  throw new LightfootError("E_USAGE", `a power has the unit W or kW, found "${text}"`, { hint: "Write it like 12W." });
}
