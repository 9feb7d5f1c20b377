// `Figure`: a number with its unit, 95 % interval, method and sources, and the arithmetic on it; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/** How a number is known, best to worst. */
export const METHODS = ["measured", "modelled", "declared", "assumed"] as const;
export type Method = (typeof METHODS)[number];

/** Something that was missing and was filled in; shown wherever the figure is shown, and refused under `--strict`. */
export interface Assumption {
  /** Stable key, e.g. `power-model.no-counter`; two assumptions with one key are one assumption. */
  readonly key: string;
  /** What was assumed and why, in one sentence. */
  readonly text: string;
}

/**
 * A number that is not exact.
 *
 * `low ≤ value ≤ high` is a 95 % interval. Units are written as on paper: `J`, `gCO2e`, `s`, `B`, `FLOP`, `1/kWh`.
 */
export interface Figure {
  readonly value: number;
  readonly unit: string;
  readonly low: number;
  readonly high: number;
  readonly method: Method;
  readonly sources: readonly string[];
  readonly assumptions: readonly Assumption[];
}

export interface FigureInput {
  readonly value: number;
  readonly unit: string;
  readonly low?: number;
  readonly high?: number;
  readonly method: Method;
  readonly sources?: readonly string[];
  readonly assumptions?: readonly Assumption[];
}

/**
 * A checked figure; without bounds the value is exact (`low = high = value`).
 *
 * @throws LightfootError E_RANGE when a part is not finite or the value lies outside its interval
 * @example figure({ value: 12, low: 10, high: 15, unit: "J", method: "modelled", sources: ["CPU time x power model"] })
 */
export function figure(input: FigureInput): Figure {
  const { value, unit, method } = input;
  const low = input.low ?? value;
  const high = input.high ?? value;
  if (![value, low, high].every(Number.isFinite) || low > value || value > high) {
    throw new LightfootError(
      "E_RANGE",
      `a figure needs finite low ≤ value ≤ high, found ${low} ≤ ${value} ≤ ${high} ${unit}`,
    );
  }
  return { value, unit, low, high, method, sources: input.sources ?? [], assumptions: input.assumptions ?? [] };
}

/** An exact, measured count, e.g. bytes on disk. */
export function exact(value: number, unit: string, source: string): Figure {
  return figure({ value, unit, method: "measured", sources: [source] });
}

/** The worst method among the inputs is the method of the result. */
export function worstMethod(methods: readonly Method[]): Method {
  return METHODS[Math.max(...methods.map((method) => METHODS.indexOf(method)))] ?? "assumed";
}

/** What a result inherits from the figures it was made of: worst method, all sources, all assumptions. */
function provenance(parts: readonly Figure[]): Pick<Figure, "method" | "sources" | "assumptions"> {
  const assumptions = new Map(parts.flatMap((part) => part.assumptions.map((entry) => [entry.key, entry] as const)));
  return {
    method: worstMethod(parts.map((part) => part.method)),
    sources: [...new Set(parts.flatMap((part) => part.sources))],
    assumptions: [...assumptions.values()],
  };
}

function requireSameUnit(parts: readonly Figure[], verb: string): string {
  const unit = parts[0]?.unit;
  if (unit === undefined) throw new LightfootError("E_RANGE", `cannot ${verb} an empty list of figures`);
  const other = parts.find((part) => part.unit !== unit);
  if (other !== undefined) throw new LightfootError("E_UNIT", `cannot ${verb} ${unit} and ${other.unit}`);
  return unit;
}

/**
 * Sum of figures of one unit, endpoint-wise: low = Σ low, high = Σ high.
 *
 * Endpoint-wise sums assume fully correlated errors: the band is the widest that the parts allow, never too narrow.
 * @throws LightfootError E_UNIT on mixed units
 */
export function sum(parts: readonly Figure[]): Figure {
  const unit = requireSameUnit(parts, "add");
  const total = (pick: (part: Figure) => number) => parts.reduce((running, part) => running + pick(part), 0);
  return figure({
    value: total((part) => part.value),
    low: total((part) => part.low),
    high: total((part) => part.high),
    unit,
    ...provenance(parts),
  });
}

/** Difference `left − right`; low = left.low − right.high. @throws LightfootError E_UNIT on mixed units */
export function subtract(left: Figure, right: Figure): Figure {
  const unit = requireSameUnit([left, right], "subtract");
  return figure({
    value: left.value - right.value,
    low: left.low - right.high,
    high: left.high - right.low,
    unit,
    ...provenance([left, right]),
  });
}

function hull(left: Figure, right: Figure, combine: (a: number, b: number) => number): { low: number; high: number } {
  const corners = [left.low, left.high].flatMap((a) => [combine(a, right.low), combine(a, right.high)]);
  return { low: Math.min(...corners), high: Math.max(...corners) };
}

/** Product, endpoint-wise; the caller names the unit of the result, e.g. `multiply(power, duration, "J")`. */
export function multiply(left: Figure, right: Figure, unit: string): Figure {
  const value = left.value * right.value;
  return figure({ value, ...hull(left, right, (a, b) => a * b), unit, ...provenance([left, right]) });
}

/**
 * Quotient, endpoint-wise.
 *
 * @throws LightfootError E_RANGE when the divisor's interval contains zero
 */
export function divide(left: Figure, right: Figure, unit: string): Figure {
  if (right.low <= 0 && right.high >= 0) {
    throw new LightfootError("E_RANGE", `cannot divide by ${right.low}…${right.high} ${right.unit}: it contains zero`);
  }
  const value = left.value / right.value;
  return figure({ value, ...hull(left, right, (a, b) => a / b), unit, ...provenance([left, right]) });
}

/** A figure times an exact factor, e.g. a unit conversion. @throws LightfootError E_RANGE when the product is not finite */
export function scale(part: Figure, factor: number, unit: string = part.unit): Figure {
  const ends = [part.low * factor, part.high * factor];
  return figure({ ...part, value: part.value * factor, low: Math.min(...ends), high: Math.max(...ends), unit });
}
