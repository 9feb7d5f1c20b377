// Figures and numbers as people read them, with digits that follow from the interval; may depend on its room only.
import { BYTES_PER_GIB, BYTES_PER_KIB, BYTES_PER_MIB, JOULES_PER_KWH } from "./convert.ts";
import type { Figure } from "./figure.ts";

// Thin space between number and unit that no line break may split.
const UNIT_SPACE = "\u202f";
const MAX_SIGNIFICANT_DIGITS = 6;

interface Step {
  readonly from: number;
  readonly divisor: number;
  readonly unit: string;
}

/** From which magnitude a base unit is shown as a larger or smaller one; ordered large to small. */
const STEPS: Record<string, readonly Step[]> = {
  B: [
    { from: BYTES_PER_GIB, divisor: BYTES_PER_GIB, unit: "GiB" },
    { from: BYTES_PER_MIB, divisor: BYTES_PER_MIB, unit: "MiB" },
    { from: BYTES_PER_KIB, divisor: BYTES_PER_KIB, unit: "KiB" },
    { from: 0, divisor: 1, unit: "B" },
  ],
  J: [
    { from: JOULES_PER_KWH, divisor: JOULES_PER_KWH, unit: "kWh" },
    { from: 1e3, divisor: 1e3, unit: "kJ" },
    { from: 1, divisor: 1, unit: "J" },
    { from: 1e-3, divisor: 1e-3, unit: "mJ" },
    { from: 0, divisor: 1e-6, unit: "µJ" },
  ],
  s: [
    { from: 7200, divisor: 3600, unit: "h" },
    { from: 120, divisor: 60, unit: "min" },
    { from: 1, divisor: 1, unit: "s" },
    { from: 1e-3, divisor: 1e-3, unit: "ms" },
    { from: 0, divisor: 1e-6, unit: "µs" },
  ],
  gCO2e: [
    { from: 1e6, divisor: 1e6, unit: "tCO2e" },
    { from: 1e3, divisor: 1e3, unit: "kgCO2e" },
    { from: 1e-1, divisor: 1, unit: "gCO2e" },
    { from: 0, divisor: 1e-3, unit: "mgCO2e" },
  ],
  FLOP: [
    { from: 1e15, divisor: 1e15, unit: "PFLOP" },
    { from: 1e12, divisor: 1e12, unit: "TFLOP" },
    { from: 1e9, divisor: 1e9, unit: "GFLOP" },
    { from: 1e6, divisor: 1e6, unit: "MFLOP" },
    { from: 1e3, divisor: 1e3, unit: "kFLOP" },
    { from: 0, divisor: 1, unit: "FLOP" },
  ],
};

function stepFor(magnitude: number, unit: string): Step {
  const steps = STEPS[unit];
  const step = magnitude === 0 ? steps?.find((entry) => entry.divisor === 1) : steps?.find((s) => magnitude >= s.from);
  return step ?? { from: 0, divisor: 1, unit };
}

/** Decimal places such that one unit in the last place is at most a quarter of the interval's half width. */
function decimalsFor(value: number, low: number, high: number): number {
  const magnitude = Math.floor(Math.log10(Math.max(Math.abs(value), Number.MIN_VALUE)));
  const finest = MAX_SIGNIFICANT_DIGITS - 1 - magnitude;
  const halfWidth = (high - low) / 2;
  const wanted = halfWidth > 0 ? -Math.floor(Math.log10(halfWidth / 2)) : finest;
  // Never coarser than the value's own leading digit: 37 ± 60 stays "37", it does not become "0".
  const places = Math.min(Math.max(wanted, -magnitude), finest);
  return Math.min(Math.max(places, 0), 12);
}

function grouped(value: number, decimals: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** An exact count with thousands separators: `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A bare number in a base unit, scaled and cut to `digits` significant digits: `formatNumber(407080, "B")`. */
export function formatNumber(value: number, unit: string, digits = 4): string {
  const step = stepFor(Math.abs(value), unit);
  const scaled = value / step.divisor;
  const text = Number.isInteger(scaled) && Math.abs(scaled) < 1e6 ? String(scaled) : scaled.toPrecision(digits);
  const plain = text.includes("e") ? Number(text).toLocaleString("en-US", { maximumSignificantDigits: digits }) : text;
  return step.unit === "" ? plain : `${plain}${UNIT_SPACE}${step.unit}`;
}

/**
 * A figure for people: value and interval in a readable unit, digits no finer than the interval supports.
 *
 * @example formatFigure(figure({ value: 1.84e6, low: 1.6e6, high: 2.1e6, unit: "J", method: "modelled" })) // 1,840 (1,600…2,100) kJ
 */
export function formatFigure(part: Figure): string {
  const step = stepFor(Math.max(Math.abs(part.low), Math.abs(part.high)), part.unit);
  const [value, low, high] = [part.value, part.low, part.high].map((end) => end / step.divisor) as [
    number,
    number,
    number,
  ];
  const unit = step.unit === "" ? "" : `${UNIT_SPACE}${step.unit}`;
  if (Number.isInteger(value) && low === value && high === value) return `${formatCount(value)}${unit}`;
  const decimals = decimalsFor(value, low, high);
  if (low === value && high === value) return `${formatNumber(value, "", 4)}${unit}`;
  return `${grouped(value, decimals)} (${grouped(low, decimals)}…${grouped(high, decimals)})${unit}`;
}

/** A fraction as percent with its interval: `97.90 (97.60…98.16) %`. */
export function formatFraction(part: Figure): string {
  const percent = { ...part, value: part.value * 100, low: part.low * 100, high: part.high * 100, unit: "%" };
  return formatFigure(percent);
}
