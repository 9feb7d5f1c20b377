// Which rules have another outcome under a policy: the evidence that a scenario determines, before and after; may depend on errors, the rules and its room.
import { LightfootError, type Finding } from "../../errors/lightfoot-error.ts";
import { proposalsOf } from "../rules/check.ts";
import { judgeRule, type Evidence, type Verdict } from "../rules/judge.ts";
import type { CompiledRule, Pack } from "../rules/pack.ts";
import type { Outcome, Overlay, Vocabulary } from "../rules/rule-schema.ts";
import { evidenceMistake } from "../rules/vocabulary.ts";
import { drawLevers, limitedPue, NO_LEVERS, retrofittedPue, type LeverDraw, type Pick } from "./engine.ts";
import type { Flip, Simulation } from "./result-schema.ts";
import type { Group, Scenario, ScenarioCheck } from "./scenario.ts";

/** A share of 100 draws is known to within 10 points (95 %), and judging every draw would take longer than simulating it. */
const MOST_CHECKED_DRAWS = 100;

export interface RuleFlips {
  readonly check: NonNullable<Simulation["check"]>;
  /** In the order of the scenario's policies. */
  readonly byPolicy: readonly Flip[][];
}

/** What the simulation says of a group, by field of evidence. */
type State = ReadonlyMap<string, number>;

/**
 * Rules whose outcome differs between a group without and with each policy on the scenario's day, in the same draw.
 *
 * A group is judged as one site at its mean. Only `dc.pueAnnual`, `dc.wueAnnual` and `dc.renewableShare` come from the
 * simulation; what is neither there nor declared stays unknown, and a rule that is unknown before or after is no flip.
 *
 * @param pickOf the numbers of a draw, as the simulation draws them
 * @returns undefined where the scenario asks for no check
 * @throws LightfootError E_SCENARIO for evidence that cannot be; E_USAGE for a proposal that the pack does not have
 */
export function ruleFlips(scenario: Scenario, pack: Pack, pickOf: (draw: number) => Pick): RuleFlips | undefined {
  const { check, groups, policies, models } = scenario;
  if (check === undefined) return undefined;
  throwIfMistaken(scenario, pack.vocabulary);
  const { overlays, proposed } = proposalsOf(pack, check.proposals);
  const rules = pack.rules.filter(({ rule }) => rule.status !== "proposal" || proposed.includes(rule.id));
  const judges = groups.map((group) => new GroupJudge(group, rules, check, overlays));
  const draws = Math.min(scenario.draws, MOST_CHECKED_DRAWS);
  const tallies = policies.map(() => new Map<string, Tally>());
  const year = Number(check.asOf.slice(0, 4));
  for (let draw = 0; draw < draws; draw++) {
    const pick = pickOf(draw);
    const levers = policies.map((policy) => drawLevers(policy.levers, policy.dimensions, models, pick));
    for (const [at, group] of groups.entries()) {
      const before = stateOf(group, NO_LEVERS, pick);
      judges[at].judge(before);
      for (const [index, policy] of policies.entries()) {
        if (!policy.holds[at] || policy.from > year) continue;
        judges[at].compare(before, stateOf(group, levers[index], pick), tallies[index]);
      }
    }
  }
  return {
    check: {
      asOf: check.asOf,
      roles: [...check.roles],
      proposals: [...check.proposals],
      packDigest: pack.digest,
      draws,
      rules: [...new Set(judges.flatMap(({ judged }) => [...judged]))].toSorted(),
    },
    byPolicy: tallies.map((tally) =>
      [...tally.values()]
        .map((entry) => flipOf(entry, draws))
        .toSorted((left, right) => left.rule.localeCompare(right.rule) || right.share - left.share),
    ),
  };
}

/** A rule that flips one way for a group, in each draw in which it does. */
interface Tally {
  readonly rule: CompiledRule["rule"];
  readonly group: string;
  readonly before: Outcome;
  readonly after: Outcome;
  /** What the rule asks of the simulation. */
  readonly fields: readonly string[];
  readonly states: { readonly before: State; readonly after: State }[];
}

interface HangingRule {
  readonly compiled: CompiledRule;
  /** What it asks of the simulation. */
  readonly fields: readonly string[];
  /** Outcomes by the numbers of those fields: certain numbers come again in every draw. */
  readonly known: Map<string, Outcome>;
}

/** One group under the rules that hang on what the simulation says of it. */
class GroupJudge {
  /** Ids of rules that passed or failed. */
  readonly judged = new Set<string>();
  readonly #group: Group;
  readonly #rules: readonly HangingRule[];
  readonly #verdictOf: (compiled: CompiledRule, state: State) => Verdict;

  constructor(group: Group, rules: readonly CompiledRule[], check: ScenarioCheck, overlays: readonly Overlay[]) {
    this.#group = group;
    const declared = Object.entries(group.evidence).filter(([field]) => field !== "dc.renewableShare");
    this.#verdictOf = (compiled, state) => {
      const evidence = new Map<string, Evidence>([
        ...declared.map(([field, value]): [string, Evidence] => [field, { value, method: "declared" }]),
        ...[...state].map(([field, value]): [string, Evidence] => [field, { value, method: "modelled" }]),
      ]);
      return judgeRule(compiled, { roles: check.roles, evidence }, { asOf: check.asOf, overlays });
    };
    this.#rules = rules.flatMap((compiled) => {
      const named = new Set([compiled.when, compiled.require, compiled.enough].flatMap((part) => part?.fields ?? []));
      const fields = SIMULATED.filter((field) => named.has(field));
      // Others are decided without the simulation (another role, place, limit) or hang on what it does not say.
      const { missing } = this.#verdictOf(compiled, new Map());
      const hangs = fields.some((field) => missing.includes(field));
      return hangs ? [{ compiled, fields, known: new Map<string, Outcome>() }] : [];
    });
  }

  #judge({ compiled, fields, known }: HangingRule, state: State): Outcome {
    const key = fields.map((field) => state.get(field)).join(" ");
    let outcome = known.get(key);
    if (outcome === undefined) {
      outcome = this.#verdictOf(compiled, state).outcome;
      if (outcome === "pass" || outcome === "fail") this.judged.add(compiled.rule.id);
      known.set(key, outcome);
    }
    return outcome;
  }

  /** Judges a state under every rule, so that `judged` knows of those that no policy touches. */
  judge(state: State): void {
    for (const rule of this.#rules) this.#judge(rule, state);
  }

  compare(before: State, after: State, tallies: Map<string, Tally>): void {
    for (const rule of this.#rules) {
      const [was, is] = [this.#judge(rule, before), this.#judge(rule, after)];
      if (was === is || was === "unknown" || is === "unknown") continue;
      const key = [rule.compiled.rule.id, this.#group.id, was, is].join(" ");
      const tally = tallies.get(key) ?? {
        rule: rule.compiled.rule,
        group: this.#group.id,
        before: was,
        after: is,
        fields: rule.fields,
        states: [],
      };
      tally.states.push({ before, after });
      tallies.set(key, tally);
    }
  }
}

const SIMULATED = ["dc.pueAnnual", "dc.wueAnnual", "dc.renewableShare"] as const;

/** Energies are left out: a group's are those of many sites, and limits are for one. */
function stateOf({ fields, hasWater, evidence }: Group, levers: LeverDraw, pick: Pick): State {
  const of = (field: "pue" | "water"): number => pick(fields[field], fields[field].dimension);
  const state = new Map<string, number>([["dc.pueAnnual", limitedPue(retrofittedPue(of("pue"), levers), levers)]]);
  if (hasWater) state.set("dc.wueAnnual", of("water"));
  const renewable = evidence["dc.renewableShare"];
  // What a lever asks for is no evidence of what was there before it.
  if (typeof renewable === "number") state.set("dc.renewableShare", Math.max(renewable, levers.green?.share ?? 0));
  return state;
}

function flipOf({ rule, group, before, after, states, fields }: Tally, draws: number): Flip {
  const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const changed = fields.filter((field) => states.some((state) => state.before.get(field) !== state.after.get(field)));
  const moved = changed.map((field) => ({
    field,
    before: median(states.map((state) => state.before.get(field)!)),
    after: median(states.map((state) => state.after.get(field)!)),
  }));
  return { rule: rule.id, title: rule.title, group, before, after, share: states.length / draws, moved };
}

function throwIfMistaken({ groups }: Scenario, vocabulary: Vocabulary): void {
  const findings = groups.flatMap(({ id, evidence, hasWater }) =>
    Object.entries(evidence).flatMap(([field, value]): Finding[] => {
      const where = { path: `groups.${id}.evidence.${field}` };
      const isOurs = field === "dc.pueAnnual" || (field === "dc.wueAnnual" && hasWater);
      if (isOurs) return [{ where, message: `${field} is what the simulation says: 'pue' and 'water' give it` }];
      const mistake = evidenceMistake(field, value, vocabulary);
      return mistake === undefined ? [] : [{ where, ...mistake }];
    }),
  );
  if (findings.length === 0) return;
  throw new LightfootError("E_SCENARIO", "the scenario declares evidence that cannot be", { findings });
}
