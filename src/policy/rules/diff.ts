// What changes in the pack between two days, or under a draft law; may depend on its room.
import { proposalsOf } from "./check.ts";
import { parametersOf, type ParameterInForce } from "./judge.ts";
import type { CompiledRule, Pack } from "./pack.ts";
import type { Overlay, Rule } from "./rule-schema.ts";

/** The pack as it stands on a day, under proposals by id. */
export interface Standing {
  readonly asOf: string;
  readonly proposals: readonly string[];
}

export interface ParameterChange {
  readonly name: string;
  readonly unit: string;
  /** Null where there is no value yet. */
  readonly before: number | null;
  readonly after: number | null;
  readonly ref: string;
}

export interface RuleChange {
  readonly id: string;
  readonly title: Rule["title"];
  readonly what: "begins" | "ends" | "changes";
  readonly parameters: readonly ParameterChange[];
}

/**
 * Rules that begin, end, or have other values in the second standing than in the first, by id.
 *
 * @throws LightfootError E_USAGE for a proposal that the pack does not have
 */
export function diffPack(pack: Pack, before: Standing, after: Standing): RuleChange[] {
  const [first, second] = [proposalsOf(pack, before.proposals), proposalsOf(pack, after.proposals)];
  return pack.rules.flatMap((compiled): RuleChange[] => {
    const { id, title } = compiled.rule;
    const held = holds(compiled, before.asOf, first.proposed);
    const holdsThen = holds(compiled, after.asOf, second.proposed);
    const old = held ? valuesOf(compiled, before.asOf, first.overlays) : new Map<string, ParameterInForce>();
    const now = holdsThen ? valuesOf(compiled, after.asOf, second.overlays) : new Map<string, ParameterInForce>();
    if (!held && !holdsThen) return [];
    const parameters = Object.entries(compiled.rule.parameters).flatMap(([name, { unit }]): ParameterChange[] => {
      const [was, is] = [old.get(name), now.get(name)];
      if (was?.value === is?.value && was?.low === is?.low && was?.high === is?.high) return [];
      const ref = is?.ref ?? was?.ref ?? "";
      return [{ name, unit, before: was?.value ?? null, after: is?.value ?? null, ref }];
    });
    if (held && holdsThen) return parameters.length === 0 ? [] : [{ id, title, what: "changes", parameters }];
    return [{ id, title, what: held ? "ends" : "begins", parameters }];
  });
}

/** In force by its days; a proposal only where it was asked for. */
const holds = ({ rule }: CompiledRule, asOf: string, proposed: readonly string[]): boolean =>
  rule.from <= asOf &&
  (rule.to === undefined || asOf <= rule.to) &&
  (rule.status !== "proposal" || proposed.includes(rule.id));

const valuesOf = ({ rule }: CompiledRule, asOf: string, overlays: readonly Overlay[]): Map<string, ParameterInForce> =>
  new Map(parametersOf(rule, asOf, overlays).inForce.map((parameter) => [parameter.name, parameter]));
