// Figures and numbers as people read them, with digits that follow from the interval; may depend on its room only.
import { BYTES_PER_GIB, BYTES_PER_KIB, BYTES_PER_MIB, JOULES_PER_KWH } from "./convert.ts";
import type { Figure } from "./figure.ts";

// Thin space between number and unit that no line break may split.
const UNIT_SPACE = "\u202f";

interface Step {
  readonly divisor: number;
  readonly unit: string;
  /** Magnitude from which this step is used; its divisor unless people think otherwise (`120 s`, not `2 min`). */
  readonly from?: number;
}

const decimal = (unit: string, prefixes: string): Step[] =>
  Array.from(prefixes, (prefix) => ({ divisor: 10 ** DECIMAL_EXPONENT[prefix], unit: `${prefix.trim()}${unit}` }));

const DECIMAL_EXPONENT: Readonly<Record<string, number>> = {
  E: 18,
  P: 15,
  T: 12,
  G: 9,
  M: 6,
  k: 3,
  " ": 0,
  m: -3,
  µ: -6,
  n: -9,
  p: -12,
};

/** How a base unit is shown, large to small. */
const STEPS: Readonly<Record<string, readonly Step[]>> = {
  B: [
    { divisor: BYTES_PER_GIB, unit: "GiB" },
    { divisor: BYTES_PER_MIB, unit: "MiB" },
    { divisor: BYTES_PER_KIB, unit: "KiB" },
    { divisor: 1, unit: "B" },
  ],
  J: [
    { divisor: 1e9 * JOULES_PER_KWH, unit: "TWh" },
    { divisor: 1e6 * JOULES_PER_KWH, unit: "GWh" },
    { divisor: 1e3 * JOULES_PER_KWH, from: 1e4 * JOULES_PER_KWH, unit: "MWh" },
    { divisor: JOULES_PER_KWH, unit: "kWh" },
    ...decimal("J", "k mµnp"),
  ],
  s: [{ divisor: 3600, from: 7200, unit: "h" }, { divisor: 60, from: 120, unit: "min" }, ...decimal("s", " mµnp")],
  gCO2e: [{ divisor: 1e6, unit: "tCO2e" }, { divisor: 1e3, unit: "kgCO2e" }, ...decimal("gCO2e", " mµ")],
  L: [{ divisor: 1e3, from: 1e4, unit: "m³" }, ...decimal("L", " mµ")],
  W: decimal("W", "Mk mµnp"),
  FLOP: decimal("FLOP", "EPTGMk "),
  "FLOP/s": decimal("FLOP/s", "EPTGMk "),
  "B/s": decimal("B/s", "TGMk "),
};

/** The step of a unit that brings a magnitude to 1 or more; for `1/B` the other way round: `1/MiB`. */
function stepFor(magnitude: number, unit: string): Step {
  const inverse = unit.startsWith("1/") ? STEPS[unit.slice(2)] : undefined;
  if (inverse !== undefined) {
    const upwards = [...inverse].reverse().filter((step) => step.divisor >= 1);
    const step = upwards.find(({ divisor }) => magnitude * divisor >= 1) ?? upwards.at(-1)!;
    const wanted = magnitude === 0 ? upwards[0] : step;
    return { divisor: 1 / wanted.divisor, unit: `1/${wanted.unit}` };
  }
  const steps = STEPS[unit];
  if (steps === undefined) return powerOfTen(magnitude, unit === "1" ? "" : unit);
  if (magnitude === 0) return steps.find((step) => step.divisor === 1)!;
  const step = steps.find(({ from, divisor }) => magnitude >= (from ?? divisor));
  return step ?? powerOfTen(magnitude, unit);
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Very large and very small numbers of units without steps: `4.8 ×10⁻⁶ 1/kWh`. */
function powerOfTen(magnitude: number, unit: string): Step {
  if (magnitude === 0 || (magnitude >= 1e-3 && magnitude < 1e9)) return { divisor: 1, unit };
  const exponent = Math.max(Math.floor(exponentOf(magnitude) / 3) * 3, -300); // 10 ** -324 would be 0
  const digits = Array.from(String(Math.abs(exponent)), (digit) => SUPERSCRIPT[Number(digit)]).join("");
  return { divisor: 10 ** exponent, unit: `×10${exponent < 0 ? "⁻" : ""}${digits}${unit === "" ? "" : ` ${unit}`}` };
}

/** Power of ten of a number's leading digit; 0 has none and counts as coarse as can be. */
function exponentOf(value: number): number {
  if (value === 0) return Number.POSITIVE_INFINITY;
  // log10 of 1000 is 2.9999999999999996 on some inputs; the exponential form is exact.
  return Number(Math.abs(value).toExponential().split("e")[1]);
}

/** Rounds to a power of ten, but never coarser than the number's own leading digit: 0.3 ± 14 stays 0.3, not 0. */
function rounded(value: number, exponent: number): string {
  const place = Math.min(exponent, exponentOf(value));
  if (!Number.isFinite(place)) return "0";
  const decimals = Math.min(Math.max(-place, 0), 15);
  const whole = place > 0 ? Math.round(value / 10 ** place) * 10 ** place : value;
  return grouped(whole, decimals);
}

function grouped(value: number, decimals: number): string {
  const text = separated(value.toFixed(decimals), value);
  return /[1-9]/.test(text) ? text : text.replace("-", "");
}

/**
 * A decimal text with commas between thousands. Intl would do it too, and takes 9 ms to load, which a command under `track`
 * would be charged for; it is left for numbers that JavaScript writes with an exponent.
 */
function separated(text: string, value: number): string {
  if (!/^-?[\d.]+$/.test(text)) return value.toLocaleString("en-US", { maximumFractionDigits: 15 });
  const [whole = "", fraction] = text.split(".");
  const thousands = whole.replaceAll(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? thousands : `${thousands}.${fraction}`;
}

const withUnit = (text: string, unit: string): string => (unit === "" ? text : `${text}${UNIT_SPACE}${unit}`);

/** An exact count with thousands separators: `1,234,567`. */
export function formatCount(value: number): string {
  return grouped(value, 0);
}

/** A bare number in a base unit, scaled and cut to `digits` significant digits: `formatNumber(407080, "B")` is `397.5 KiB`. */
export function formatNumber(value: number, unit: string, digits = 4): string {
  const step = stepFor(Math.abs(value), unit);
  const scaled = value / step.divisor;
  if (Number.isInteger(scaled)) return withUnit(formatCount(scaled), step.unit);
  const cut = Number(scaled.toPrecision(digits));
  return withUnit(separated(String(cut), cut), step.unit);
}

/**
 * A figure for people: value and interval in a readable unit, digits no finer than the interval supports.
 *
 * The last place shown is the power of ten at or below a tenth of the interval's width (Boavizta's rule); an exact
 * figure shows four significant digits, or all of a whole number.
 *
 * @example formatFigure(figure({ value: 1.84e6, low: 1.6e6, high: 2.1e6, unit: "J", method: "modelled" })) // 1,840 (1,600…2,100) kJ
 */
export function formatFigure(part: Figure): string {
  if (part.low === part.high) return formatNumber(part.value, part.unit);
  const magnitude = part.value === 0 ? Math.max(Math.abs(part.low), Math.abs(part.high)) : Math.abs(part.value);
  // The step of the rounded number: 960 nJ that are good to a digit read 1 µJ, not 1,000 nJ.
  const digit = 10 ** Math.min(exponentOf((part.high - part.low) / 10), exponentOf(magnitude));
  const { divisor, unit } = stepFor(digit > 0 ? Math.round(magnitude / digit) * digit : magnitude, part.unit);
  const [value, low, high] = [part.value / divisor, part.low / divisor, part.high / divisor];
  const place = exponentOf((high - low) / 10);
  const shown = (end: number): string => rounded(end, place);
  return withUnit(`${shown(value)} (${shown(low)}…${shown(high)})`, unit);
}

/** A fraction as percent with its interval: `97.90 (97.60…98.16) %`. */
export function formatFraction(part: Figure): string {
  const percent = { ...part, value: part.value * 100, low: part.low * 100, high: part.high * 100, unit: "%" };
  return formatFigure(percent);
}
