// A whole pack against a case: findings, counts, and what comes next; may depend on errors and its room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { CheckDocument, RuleFinding } from "./check-schema.ts";
import { judgeRule, type Case, type Verdict } from "./judge.ts";
import type { CompiledRule, Pack } from "./pack.ts";
import { OUTCOMES, type Outcome, type Overlay } from "./rule-schema.ts";

export interface CheckOptions {
  /** ISO date. */
  readonly asOf: string;
  /** Ids of overlays, in order, and of proposed rules; `all` takes every one of the pack. Others are left out. */
  readonly proposals?: readonly string[] | "all";
  /** Leaves rules out of which a number was not verified. */
  readonly verifiedOnly?: boolean;
}

const RANK: Readonly<Record<Outcome, number>> = {
  fail: 0,
  unknown: 1,
  manual: 2,
  notYetApplicable: 3,
  pass: 4,
  notApplicable: 5,
};

/**
 * What every rule of a pack says of a case.
 *
 * @throws LightfootError E_USAGE for a proposal that the pack does not have, or a case without roles
 */
export function checkCase(pack: Pack, subject: Case, options: CheckOptions): CheckDocument {
  if (subject.roles.length === 0) {
    throw new LightfootError("E_USAGE", "no role was given: it decides which rules are yours", {
      hint: "Give --role model-provider, data-center-operator, …, or roles: [ … ] in the evidence.",
    });
  }
  const { overlays, proposed } = proposalsOf(pack, options.proposals ?? []);
  const rules = pack.rules.filter(
    ({ rule }) =>
      (rule.status !== "proposal" || proposed.includes(rule.id)) && (options.verifiedOnly !== true || isVerified(rule)),
  );
  const findings = rules
    .map((compiled) => findingOf(compiled, subject, options.asOf, overlays))
    .toSorted((left, right) => RANK[left.outcome] - RANK[right.outcome] || left.id.localeCompare(right.id));
  return {
    schema: "lightfoot.check/1",
    notice: "Thresholds are checked, not law applied: whether a rule is yours is for you and your counsel to say.",
    asOf: options.asOf,
    roles: [...subject.roles],
    overlays: overlays.map(({ overlay }) => overlay),
    proposedRules: proposed,
    packDigest: pack.digest,
    counts: Object.fromEntries(
      OUTCOMES.map((outcome) => [outcome, findings.filter((finding) => finding.outcome === outcome).length]),
    ) as CheckDocument["counts"],
    rules: findings,
    deadlines: deadlinesOf(
      rules.filter(({ rule }) => findings.some(({ id, outcome }) => id === rule.id && outcome !== "notApplicable")),
      options.asOf,
      overlays,
    ),
  };
}

function isVerified({ source, parameters }: CompiledRule["rule"]): boolean {
  const marks = Object.values(parameters).flatMap(({ values }) => values.map(({ mark }) => mark));
  return [source.mark, ...marks].every((mark) => mark !== "unverified");
}

/** Draft laws that were asked for: those that change parameters, and those that are rules of their own. */
export function proposalsOf(
  pack: Pack,
  wanted: readonly string[] | "all",
): { overlays: Overlay[]; proposed: string[] } {
  const rules = pack.rules.flatMap(({ rule }) => (rule.status === "proposal" ? [rule.id] : []));
  if (wanted === "all") return { overlays: [...pack.overlays], proposed: rules };
  const unknown = wanted.find((id) => !rules.includes(id) && !pack.overlays.some(({ overlay }) => overlay === id));
  if (unknown !== undefined) {
    throw new LightfootError("E_USAGE", `there is no proposal '${unknown}'`, {
      hint: `Known are ${[...pack.overlays.map(({ overlay }) => overlay), ...rules].join(", ")}.`,
    });
  }
  return {
    overlays: wanted.flatMap((id) => pack.overlays.filter(({ overlay }) => overlay === id)),
    proposed: rules.filter((id) => wanted.includes(id)),
  };
}

function findingOf(compiled: CompiledRule, subject: Case, asOf: string, overlays: readonly Overlay[]): RuleFinding {
  const { rule } = compiled;
  const verdict = judgeRule(compiled, subject, { asOf, overlays });
  const { id, title, jurisdiction, kind, status, severity, explain } = rule;
  return {
    id,
    title,
    jurisdiction,
    kind,
    status,
    severity,
    explain,
    outcome: verdict.outcome,
    manual: rule.manual ?? null,
    evidence: [...verdict.evidence],
    evidenceQuality: verdict.evidenceQuality ?? null,
    missing: [...verdict.missing],
    parameters: verdict.parameters.map((parameter) => ({
      ...parameter,
      low: parameter.low ?? null,
      high: parameter.high ?? null,
      overlay: parameter.overlay ?? null,
    })),
    amount: amountOf(rule, verdict),
    appliesFrom: verdict.appliesFrom ?? null,
    source: { ...rule.source, article: rule.source.article ?? null },
  };
}

function amountOf({ amount: told }: CompiledRule["rule"], { amount }: Verdict): RuleFinding["amount"] {
  if (told === undefined || amount === undefined) return null;
  const { value = null, low = null, high = null } = amount;
  return { ...told, value, low, high, missing: [...amount.missing], stale: [...amount.stale] };
}

/** First days of rules, new values of parameters, and the next yearly day of each, after a day. */
function deadlinesOf(
  rules: readonly CompiledRule[],
  asOf: string,
  overlays: readonly Overlay[],
): CheckDocument["deadlines"] {
  return rules
    .flatMap(({ rule }) => {
      const begins = rule.from > asOf ? [{ date: rule.from, rule: rule.id, title: rule.title, what: "begins" }] : [];
      const changes = Object.entries(rule.parameters).flatMap(([name, { unit, values }]) => {
        const changed = overlays.findLast((overlay) => overlay.changes[rule.id]?.[name] !== undefined);
        return (changed?.changes[rule.id][name] ?? values)
          .filter(({ from }) => from > asOf && from !== rule.from)
          .map(({ from, value }) => ({
            date: from,
            rule: rule.id,
            title: rule.title,
            what: `${name} becomes ${value}${unit === "1" ? "" : ` ${unit}`}`,
          }));
      });
      return [...begins, ...changes, ...dueAfter(rule, asOf)];
    })
    .toSorted((left, right) => left.date.localeCompare(right.date) || left.rule.localeCompare(right.rule));
}

/** The next day on which something is due, not before the rule begins nor after it ends. */
function dueAfter({ id, title, dueYearly, from, to }: CompiledRule["rule"], asOf: string): CheckDocument["deadlines"] {
  if (dueYearly === undefined) return [];
  const least = asOf > from ? asOf : from;
  const year = Number(least.slice(0, 4));
  const date = [year, year + 1].map((each) => `${each}-${dueYearly}`).find((day) => day > asOf && day >= from)!;
  return to !== undefined && date > to ? [] : [{ date, rule: id, title, what: "is due, as every year" }];
}
