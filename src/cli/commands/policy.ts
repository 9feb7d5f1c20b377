// `lightfoot policy`: the rules themselves, for those who read, write and test them; may depend on this room, policy and errors.
import type { Command } from "commander";
import { closestName } from "../../errors/closest-name.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { formatTable } from "../terminal-table.ts";

interface PackFlags {
  readonly pack: readonly string[];
}

/** Adds the verb `policy` with its sub-commands to the program. */
export function registerPolicy(program: Command): void {
  const policy = program.command("policy").description("read, test and extend the rule pack");
  const withPack = (command: Command): Command =>
    command.option(
      "--pack <folder>",
      "rules of your own, added to those that come along; repeatable",
      (text: string, before: string[]) => [...before, text],
      [],
    );
  withPack(
    policy.command("list").description("every rule: who, where, status, how far its numbers were verified"),
  ).action(runAction(list));
  withPack(policy.command("show").description("one rule in full").argument("<id>", "e.g. ENV-DE-PUE-NEW")).action(
    runAction(show),
  );
  withPack(policy.command("fields").description("every field of evidence that a rule may ask for")).action(
    runAction(fields),
  );
  withPack(
    policy.command("test").description("run the fixtures of every rule; exit 1 when one does not come out"),
  ).action(runAction(test));
  withExamples(policy, [
    ["lightfoot policy list", "the whole pack"],
    ["lightfoot policy show ENV-DE-PUE-NEW", "conditions, dated limits, sources, fixtures"],
    ["lightfoot policy test --pack ./our-rules", "your own rules with their fixtures"],
  ]);
}

async function packOf({ pack }: PackFlags) {
  const { OWN_PACK, readPack } = await import("../../policy/rules/pack.ts");
  return readPack([OWN_PACK, ...pack]);
}

async function list(context: ActionContext, flags: PackFlags): Promise<void> {
  const { rules, overlays } = await packOf(flags);
  const rows = rules.map(({ rule }) => [
    rule.id,
    rule.title.en,
    rule.jurisdiction,
    rule.kind,
    rule.status,
    rule.from,
    rule.source.mark,
  ]);
  const head = ["rule", "title", "where", "kind", "status", "from", "source"].map((title) => ({ title }));
  context.result({ rules: rules.map(({ rule }) => rule), overlays }, () =>
    [
      formatTable(head, rows, context.columns),
      "",
      `${rules.length} rules; proposals: ${overlays.map(({ overlay }) => overlay).join(", ") || "none"}`,
    ].join("\n"),
  );
}

async function show(context: ActionContext, id: string, flags: PackFlags): Promise<void> {
  const { rules } = await packOf(flags);
  const found = rules.find(({ rule }) => rule.id === id.toUpperCase());
  if (found === undefined) {
    const near = closestName(
      id,
      rules.map(({ rule }) => rule.id),
    );
    throw new LightfootError("E_USAGE", `there is no rule '${id}'`, {
      hint: near === undefined ? "lightfoot policy list names them all." : `Did you mean ${near}?`,
    });
  }
  const { stringify } = await import("yaml");
  context.result(found.rule, () => stringify(found.rule, { lineWidth: Math.max(60, Math.min(context.columns, 120)) }));
}

async function fields(context: ActionContext, flags: PackFlags): Promise<void> {
  const { vocabulary } = await packOf(flags);
  const rows = Object.entries(vocabulary).flatMap(([root, entries]) =>
    Object.entries(entries).map(([name, { type, unit, en, zh }]) => [
      `${root}.${name}`,
      type,
      unit === "1" ? "" : (unit ?? ""),
      en,
      zh,
    ]),
  );
  const head = ["field", "type", "unit", "meaning", "含义"].map((title) => ({ title }));
  context.result(vocabulary, () => formatTable(head, rows, context.columns));
}

async function test(context: ActionContext, flags: PackFlags): Promise<void> {
  const { runFixtures } = await import("../../policy/rules/fixtures.ts");
  const pack = await packOf(flags);
  const results = runFixtures(pack);
  const wrong = results.filter(({ asWritten }) => !asWritten);
  context.result({ fixtures: results }, () =>
    [
      ...wrong.map(({ rule, name, expected, outcome, amount }) =>
        [
          `✗ ${rule}, ${name}: expected ${expected}, found ${outcome}`,
          ...(amount === undefined ? [] : [`amount expected ${amount.expected}, found ${amount.found}`]),
        ].join("; "),
      ),
      `${results.length} fixtures of ${pack.rules.length} rules, ${wrong.length} wrong`,
    ].join("\n"),
  );
  if (wrong.length > 0)
    throw new LightfootError("E_POLICY_FAILED", `${wrong.length} fixtures do not come out as written`);
}
