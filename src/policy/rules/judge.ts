// One rule against one case on one day; missing evidence is never a pass; may depend on quantity and its room.
import { METHODS, type Method } from "../../quantity/figure.ts";
import type { EvidenceValue } from "./conditions.ts";
import type { CompiledRule } from "./pack.ts";
import type { Mark, Outcome, Overlay, Role } from "./rule-schema.ts";

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
  readonly unit: string;
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
  /** Day from which a value or the rule itself will hold, where it does not yet. */
  readonly appliesFrom?: string;
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
 * says `pass` or `fail`, or `unknown` where it hangs on evidence that is not there.
 */
export function judgeRule(
  { rule, when, require }: CompiledRule,
  { roles, evidence }: Case,
  options: JudgeOptions,
): Verdict {
  const { asOf, overlays = [] } = options;
  const values = new Map([...evidence].map(([field, { value }]) => [field, value]));
  const fields = [...(when?.fields ?? []), ...(require?.fields ?? [])];
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
  if (when !== undefined && (begins === undefined || !when.usesParameters)) {
    const applies = when.evaluate(values, numbers);
    if (applies.truth === "unknown") return verdict("unknown", { missing: applies.missing });
    if (!applies.truth) return verdict("notApplicable");
  }
  if (asOf < rule.from) return verdict("notYetApplicable", { appliesFrom: rule.from });
  if (begins !== undefined) return verdict("notYetApplicable", { appliesFrom: begins });
  if (require === undefined) return verdict("manual");
  const holds = require.evaluate(values, numbers);
  if (holds.truth === "unknown") return verdict("unknown", { missing: holds.missing });
  return verdict(holds.truth ? "pass" : "fail");
}

/** The parameters on a day, and the first day of one that has none yet. */
function parametersOf(
  rule: CompiledRule["rule"],
  asOf: string,
  overlays: readonly Overlay[],
): { readonly inForce: ParameterInForce[]; readonly begins: string | undefined } {
  let begins: string | undefined;
  const inForce = Object.entries(rule.parameters).flatMap(([name, { unit, values }]): ParameterInForce[] => {
    const changed = overlays.findLast((overlay) => overlay.changes[rule.id]?.[name] !== undefined);
    const candidates = changed?.changes[rule.id][name] ?? values;
    const current = candidates.findLast(({ from }) => from <= asOf);
    if (current === undefined) {
      const [{ from }] = candidates;
      if (begins === undefined || from > begins) begins = from;
      return [];
    }
    return [{ name, unit, ...current, ...(changed !== undefined && { overlay: changed.overlay }) }];
  });
  return { inForce, begins };
}

const worst = (methods: readonly Method[]): Method | undefined =>
  methods.length === 0 ? undefined : METHODS[Math.max(...methods.map((method) => METHODS.indexOf(method)))];
