// What a manifest or the framework's own arithmetic gets wrong, as data: code, place, what it says, what is right; depends on nothing.

/** What kind of mistake a finding is about. The table of meanings is in docs/how-to/impact-framework.md. */
export const FINDING_CODES = [
  "sci-functional-unit-zero",
  "sci-sum-of-ratios",
  "embodied-storage-swapped",
  "embodied-memory-unit",
  "embodied-memory-baseline",
  "embodied-cpu-per-vcpu",
  "embodied-negative",
  "pue-twice",
  "wue-on-facility-energy",
  "unit-slip",
  "implausible-value",
  "negative-value",
  "not-finite",
  "timestamp-missing",
  "timestamp-duplicate",
  "timestamp-order",
  "observation-overlap",
  "duration-not-positive",
  "divide-by-zero",
  "expression-last-row",
  "mapping-lost",
  "interpolation-points-sorted",
  "interpolation-spline-overshoot",
  "time-conversion-rounded",
  "time-conversion-month",
  "time-sync-average",
  "time-sync-end",
  "time-sync-part-lost",
  "time-sync-gap",
  "regex-groups-joined",
  "csv-empty-cell",
  "aggregation-length",
  "aggregation-grid",
  "aggregation-metric-unknown",
  "aggregation-average-unweighted",
  "node-config-ignored",
  "skip-components-ignored",
  "metadata-conflict",
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** `error`: a number is wrong; `warning`: likely wrong or misleading; `note`: worth knowing. */
export type FindingSeverity = "error" | "warning" | "note";

export interface ImpactFinding {
  readonly code: FindingCode;
  readonly severity: FindingSeverity;
  readonly message: string;
  /** `path` inside the YAML, e.g. `tree.children.web.inputs[3].energy`; 1-based line of the file where it is known. */
  readonly where: { readonly path: string; readonly line?: number };
  /** What the framework (or the manifest) says at the first place. */
  readonly says: string | null;
  /** What is right there. */
  readonly right: string | null;
  /** `says` over `right`, where both are numbers. */
  readonly factor: number | null;
  /** In how many observations, or other places of the same kind under the same path. */
  readonly count: number;
}

export type FindingInput = Pick<ImpactFinding, "code" | "severity" | "message" | "where"> &
  Partial<Pick<ImpactFinding, "says" | "right" | "factor" | "count">>;

export type Report = (finding: FindingInput) => void;

const RANK: Readonly<Record<FindingSeverity, number>> = { error: 0, warning: 1, note: 2 };

/** Gathers findings; one code at one path is one finding with a count. */
export class FindingList {
  readonly #found = new Map<string, ImpactFinding>();

  readonly report: Report = (input) => {
    const key = `${input.code} ${input.where.path.replaceAll(/\[\d+\]/g, "[]")}`;
    const before = this.#found.get(key);
    const count = input.count ?? 1;
    if (before !== undefined) this.#found.set(key, { ...before, count: before.count + count });
    else {
      const { code, severity, message, where, says = null, right = null, factor = null } = input;
      this.#found.set(key, { code, severity, message, where, says, right, factor, count });
    }
  };

  /** The worst first, else in the order in which they were met. */
  sorted(): ImpactFinding[] {
    return [...this.#found.values()].toSorted((left, right) => RANK[left.severity] - RANK[right.severity]);
  }
}

/** A number for a sentence: six digits are enough to recognize it. */
export const show = (value: number, unit = ""): string =>
  `${Number.isFinite(value) ? Number(value.toPrecision(6)) : value}${unit === "" ? "" : ` ${unit}`}`;

/** `says / right` to twelve digits, where that is a number. */
export const ratio = (says: number, right: number): number | null => {
  const factor = Number((says / right).toPrecision(12));
  return Number.isFinite(factor) ? factor : null;
};
