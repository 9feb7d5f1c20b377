// Runs every rule's own fixtures; may depend on its room.
import { judgeRule } from "./judge.ts";
import type { Pack } from "./pack.ts";
import type { Outcome } from "./rule-schema.ts";

export interface FixtureResult {
  readonly rule: string;
  readonly name: string;
  readonly expected: Outcome;
  readonly outcome: Outcome;
  /** Where the fixture says an amount: what was expected and what came out. */
  readonly amount?: { readonly expected: number | null; readonly found: number | null };
  readonly asWritten: boolean;
}

/** Each fixture of each rule, with what came out; the law in force, no proposals. */
export function runFixtures(pack: Pack): FixtureResult[] {
  return pack.rules.flatMap((compiled) =>
    compiled.rule.fixtures.map((fixture) => {
      const evidence = new Map(
        Object.entries(fixture.evidence).map(([field, value]) => [field, { value, method: "declared" as const }]),
      );
      const roles = [fixture.role ?? compiled.rule.appliesTo[0]];
      const { outcome, amount } = judgeRule(compiled, { roles, evidence }, { asOf: fixture.asOf });
      const { id } = compiled.rule;
      const result = { rule: id, name: fixture.name, expected: fixture.outcome, outcome };
      if (fixture.amount === undefined) return { ...result, asWritten: outcome === fixture.outcome };
      const found = amount?.value ?? null;
      return {
        ...result,
        amount: { expected: fixture.amount, found },
        asWritten: outcome === fixture.outcome && same(fixture.amount, found),
      };
    }),
  );
}

const same = (expected: number | null, found: number | null): boolean =>
  expected === null || found === null
    ? expected === found
    : Math.abs(expected - found) <= 1e-9 * Math.max(1, Math.abs(expected));
