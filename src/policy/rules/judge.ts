// One rule against one case on one day; missing evidence is never a pass; may depend on quantity and its room.
import { METHODS, type Method } from "../../quantity/figure.ts";
import type { EvidenceValue, Formula } from "./conditions.ts";
import type { CompiledRule } from "./pack.ts";
import type { Role } from "./roles.ts";
import type { Mark, Outcome, Overlay } from "./rule-schema.ts";

export interface Evidence {
  readonly value: EvidenceValue;
  /** How it is known; a bare value in a file is declared. */
  readonly method: Method;
  readonly source?: string;
}

/** Who and what is judged. */
export interface Case {
  readonly roles: readonly Role[];
  /** By field: `dc.pueAnnual`. */
  readonly evidence: ReadonlyMap<string, Evidence>;
}

export interface ParameterInForce {
  readonly name: string;
  readonly value: number;
  /** Where the source gives a range. */
  readonly low?: number;
  readonly high?: number;
  readonly unit: string;
  /** A market price whose day lies more than 90 days back: never used as a point. */
  readonly stale: boolean;
  readonly from: string;
  readonly ref: string;
  readonly mark: Mark;
  /** Id of the overlay that set it. */
  readonly overlay?: string;
}

export interface Verdict {
  readonly outcome: Outcome;
  /** Fields that were looked at, with what was found. */
  readonly evidence: readonly { readonly field: string; readonly value: EvidenceValue; readonly method: Method }[];
  /** Fields without which the rule cannot be judged. */
  readonly missing: readonly string[];
  readonly parameters: readonly ParameterInForce[];
  /** Worst of the evidence; undefined when none was needed. */
  readonly evidenceQuality: Method | undefined;
  /** What the rule costs or brings, where it applies and has an amount. */
  readonly amount?: Amount;
  /** Day from which a value or the rule itself will hold, where it does not yet. */
  readonly appliesFrom?: string;
}

/** Money by a rule's formula. */
export interface Amount {
  /** Undefined when evidence is missing or a price is stale. */
  readonly value: number | undefined;
  /** Least and most over the ranges of the parameters; undefined where there is no range, or it is not known. */
  readonly low: number | undefined;
  readonly high: number | undefined;
  /** Fields without which it cannot be computed. */
  readonly missing: readonly string[];
  /** Names of market prices that are stale. */
  readonly stale: readonly string[];
}

export interface JudgeOptions {
  /** ISO date. */
  readonly asOf: string;
  readonly overlays?: readonly Overlay[];
}

/**
 * The outcome of a rule for a case.
 *
 * In order: another role or a period that is over is `notApplicable`; a rule or parameter that begins later is
 * `notYetApplicable`; `when` decides whom it is for; without a condition a person has to judge (`manual`); else the condition
 * says `pass` or `fail`, or `unknown` where it hangs on evidence that is not there, or that says too little (`enough`).
 */
export function judgeRule(
  { rule, when, require, enough, formula }: CompiledRule,
  { roles, evidence }: Case,
  options: JudgeOptions,
): Verdict {
  const { asOf, overlays = [] } = options;
  const values = new Map([...evidence].map(([field, { value }]) => [field, value]));
  const fields = [
    ...(when?.fields ?? []),
    ...(require?.fields ?? []),
    ...(enough?.fields ?? []),
    ...(formula?.fields ?? []),
  ];
  const used = [...new Set(fields)].flatMap((field) => {
    const found = evidence.get(field);
    return found === undefined ? [] : [{ field, value: found.value, method: found.method }];
  });
  const { inForce, begins } = parametersOf(rule, asOf, overlays);
  const verdict = (outcome: Outcome, more: Partial<Verdict> = {}): Verdict => ({
    outcome,
    evidence: used,
    missing: [],
    parameters: inForce,
    evidenceQuality: worst(used.map(({ method }) => method)),
    ...more,
  });
  if (!rule.appliesTo.some((role) => roles.includes(role))) return verdict("notApplicable");
  if (rule.to !== undefined && asOf > rule.to) return verdict("notApplicable");
  const numbers = Object.fromEntries(inForce.map(({ name, value }) => [name, value]));
  // Whom the rule is for is asked before its day, unless that hangs on a parameter that has no value yet.
  if (when !== undefined && (begins === undefined || when.parameters.length === 0)) {
    const applies = when.evaluate(values, numbers);
    if (applies.truth === "unknown") return verdict("unknown", { missing: applies.missing });
    if (!applies.truth) return verdict("notApplicable");
  }
  if (asOf < rule.from) return verdict("notYetApplicable", { appliesFrom: rule.from });
  if (begins !== undefined) return verdict("notYetApplicable", { appliesFrom: begins });
  const amount = formula === undefined ? undefined : amountOf(formula, values, inForce);
  if (require === undefined) return verdict("manual", { amount });
  const suffices = enough?.evaluate(values, numbers);
  if (suffices?.truth === "unknown") return verdict("unknown", { missing: suffices.missing, amount });
  if (suffices?.truth === false) return verdict("unknown", { missing: enough!.fields, amount });
  const holds = require.evaluate(values, numbers);
  if (holds.truth === "unknown") return verdict("unknown", { missing: holds.missing, amount });
  return verdict(holds.truth ? "pass" : "fail", { amount });
}

/**
 * The formula at the values in force, and at every corner of the ranges of its parameters.
 *
 * The least and the most of a formula that rises or falls steadily in each parameter lie at corners; the pack's all do.
 */
function amountOf(formula: Formula, values: ReadonlyMap<string, EvidenceValue>, inForce: ParameterInForce[]): Amount {
  const used = inForce.filter(({ name }) => formula.parameters.includes(name));
  const stale = used.filter((parameter) => parameter.stale).map(({ name }) => name);
  const ranged = used.filter(({ low, high }) => low !== undefined || high !== undefined);
  const rangeKnown = ranged.length > 0 && used.every((each) => !each.stale || ranged.includes(each));
  const middle = Object.fromEntries(inForce.map(({ name, value }) => [name, value]));
  const at = formula.evaluate(values, middle);
  if ("missing" in at) return { value: undefined, low: undefined, high: undefined, missing: at.missing, stale };
  let corners: Record<string, number>[] = [middle];
  for (const { name, value, low = value, high = value } of ranged) {
    corners = corners.flatMap((corner) => [
      { ...corner, [name]: low },
      { ...corner, [name]: high },
    ]);
  }
  const amounts = corners.flatMap((corner) => {
    const result = formula.evaluate(values, corner);
    return "value" in result ? [result.value] : [];
  });
  return {
    value: stale.length > 0 ? undefined : at.value,
    low: rangeKnown ? Math.min(...amounts) : undefined,
    high: rangeKnown ? Math.max(...amounts) : undefined,
    missing: [],
    stale,
  };
}

/** A market price is stale after 90 days. */
const FRESH_DAYS = 90;
const daysBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 86_400_000;

/** The parameters on a day, and the first day of one that has none yet. */
export function parametersOf(
  rule: CompiledRule["rule"],
  asOf: string,
  overlays: readonly Overlay[],
): { readonly inForce: ParameterInForce[]; readonly begins: string | undefined } {
  let begins: string | undefined;
  const inForce = Object.entries(rule.parameters).flatMap(([name, { unit, market, values }]): ParameterInForce[] => {
    const changed = overlays.findLast((overlay) => overlay.changes[rule.id]?.[name] !== undefined);
    const candidates = changed?.changes[rule.id][name] ?? values;
    const current = candidates.findLast(({ from }) => from <= asOf);
    if (current === undefined) {
      const [{ from }] = candidates;
      if (begins === undefined || from > begins) begins = from;
      return [];
    }
    const stale = market === true && daysBetween(current.from, asOf) > FRESH_DAYS;
    return [{ name, unit, stale, ...current, ...(changed !== undefined && { overlay: changed.overlay }) }];
  });
  return { inForce, begins };
}

const worst = (methods: readonly Method[]): Method | undefined =>
  methods.length === 0 ? undefined : METHODS[Math.max(...methods.map((method) => METHODS.indexOf(method)))];
