// Runs every rule's own fixtures; may depend on its room.
import { judgeRule } from "./judge.ts";
import type { Pack } from "./pack.ts";
import type { Outcome } from "./rule-schema.ts";

export interface FixtureResult {
  readonly rule: string;
  readonly name: string;
  readonly expected: Outcome;
  readonly outcome: Outcome;
}

/** Each fixture of each rule, with what came out; the law in force, no proposals. */
export function runFixtures(pack: Pack): FixtureResult[] {
  return pack.rules.flatMap((compiled) =>
    compiled.rule.fixtures.map((fixture) => {
      const evidence = new Map(
        Object.entries(fixture.evidence).map(([field, value]) => [field, { value, method: "declared" as const }]),
      );
      const roles = [fixture.role ?? compiled.rule.appliesTo[0]];
      const { outcome } = judgeRule(compiled, { roles, evidence }, { asOf: fixture.asOf });
      return { rule: compiled.rule.id, name: fixture.name, expected: fixture.outcome, outcome };
    }),
  );
}
