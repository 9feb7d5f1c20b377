// What a verification finds out: one check, its outcome, and how two stated numbers are held together; depends on nothing.

/** What kind of mistake a check looks for. */
export type CheckCode =
  | "unit-slip"
  | "arithmetic"
  | "sum"
  | "functional-unit"
  | "pue"
  | "water"
  | "range"
  | "intensity"
  | "vintage"
  | "boundary"
  | "double-count"
  | "model"
  | "method"
  | "incomplete";

/** `error`: the number is wrong; `warning`: it is likely wrong or misleading; `note`: worth knowing. */
export type Severity = "error" | "warning" | "note";

export interface Check {
  readonly code: CheckCode;
  readonly outcome: "holds" | "fails" | "not possible";
  /** How bad it is when it fails. */
  readonly severity: Severity;
  readonly message: string;
  readonly where: { readonly line?: number; readonly path?: string };
  /** What the report says, as it says it. */
  readonly stated: string | null;
  /** What follows from the report's own parts, in the report's unit. */
  readonly recomputed: string | null;
  /** Stated over recomputed: 0.001 when the report is a thousand times low. */
  readonly factor: number | null;
}

/** Checks of one kind about one part of a report: many rows of a table say the same thing. */
export interface CheckGroup extends Check {
  /** How many checks came out like this one, this one included. */
  readonly count: number;
}

export type CheckInput = Pick<Check, "code" | "message" | "where"> & Partial<Check>;

/** A check that fails. */
export const failing = (input: CheckInput): Check => ({
  severity: "error",
  stated: null,
  recomputed: null,
  factor: null,
  ...input,
  outcome: "fails",
});

/** A check that holds; counted, so that a clean report says how much was looked at. */
export const holding = (input: CheckInput): Check => ({ ...failing(input), outcome: "holds" });

/** A check that the report gives too little for. */
export const impossible = (input: CheckInput): Check => ({
  ...failing({ severity: "note", ...input }),
  outcome: "not possible",
});

/**
 * Takes any number of checks and keeps the first of each kind: code, outcome, severity and part of the report; of rows of a
 * table the first in each column.
 *
 * A table of 100,000 runs makes millions of checks; nobody reads them, and no document could hold them.
 */
export class CheckCollector {
  readonly #groups = new Map<string, { first: Check; count: number }>();

  add(checks: readonly Check[], isRow = false): void {
    for (const check of checks) {
      // Lines of prose are parts of their own, even under one label; rows of a table share their column.
      const line = isRow ? "" : (check.where.line ?? "");
      const key = `${check.code}|${check.outcome}|${check.severity}|${check.where.path ?? ""}|${line}`;
      const known = this.#groups.get(key);
      if (known === undefined) this.#groups.set(key, { first: check, count: 1 });
      else known.count++;
    }
  }

  /** Takes checks that were grouped where they were made. */
  addGroups(groups: readonly CheckGroup[]): void {
    for (const { count, ...first } of groups) this.#groups.set(`group ${this.#groups.size}`, { first, count });
  }

  /** In the order of their first appearance. */
  groups(): CheckGroup[] {
    return [...this.#groups.values()].map(({ first, count }) => ({ ...first, count }));
  }
}

/** True when a slip is a power of 1,000, or of 1,000 divided or multiplied by small slips of rounding: a unit was mistaken. */
export function isUnitSlip(factor: number): boolean {
  const decades = Math.log10(Math.abs(factor));
  const nearest = Math.round(decades);
  return nearest !== 0 && Math.abs(decades - nearest) < 0.03;
}

const digits = (value: number): string => String(Number(value.toPrecision(4)));

/** `1,000 times too low`, `12 % too high`. */
export function describeFactor(factor: number): string {
  if (!Number.isFinite(factor) || factor <= 0) return "not comparable";
  const isLow = factor < 1;
  const ratio = isLow ? 1 / factor : factor;
  if (ratio < 1.9) return `${digits(Math.abs(factor - 1) * 100)} % too ${isLow ? "low" : "high"}`;
  const rounded = isUnitSlip(factor) ? 10 ** Math.round(Math.log10(ratio)) : ratio;
  return `${Number(rounded.toPrecision(4)).toLocaleString("en-US")} times too ${isLow ? "low" : "high"}`;
}

export interface Comparison extends CheckInput {
  readonly statedValue: number;
  readonly recomputedValue: number;
  /** Relative difference that is still agreement: rounding in the report, or a stated tolerance. */
  readonly tolerance: number;
}

/** Holds when the two values agree within the tolerance; a failure that is a power of ten is called a unit slip. */
export function compare({ statedValue, recomputedValue, tolerance, ...input }: Comparison): Check {
  const difference = Math.abs(statedValue - recomputedValue);
  const scale = Math.max(Math.abs(statedValue), Math.abs(recomputedValue));
  if (difference <= tolerance * scale || scale === 0) return holding(input);
  const factor = recomputedValue === 0 ? null : statedValue / recomputedValue;
  return failing({
    ...input,
    code: factor !== null && isUnitSlip(factor) ? "unit-slip" : input.code,
    message: factor === null ? input.message : `${input.message}: the stated value is ${describeFactor(factor)}`,
    factor,
  });
}
