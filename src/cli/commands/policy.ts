// `lightfoot policy`: the rules themselves, for those who read, write and test them; may depend on this room, policy and errors.
import { join } from "node:path";
import type { Command } from "commander";
import { closestName } from "../../errors/closest-name.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { parseDay } from "../parse-day.ts";
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
  policy
    .command("new")
    .description("write a commented rule to start from; it passes policy test as it stands")
    .argument("<id>", "e.g. OWN-PUE-MAX")
    .option("--into <folder>", "folder of your pack", "our-rules")
    .action(runAction(create));
  withPack(
    policy
      .command("diff")
      .description("what changes between two days, or under a draft law")
      .argument("[proposals...]", "draft laws, e.g. ENV-DE-DRAFT-2026"),
  )
    .option("--as-of <date>", "a day; twice for two days; left out, today", days, [])
    .action(runAction(diff));
  withExamples(policy, [
    ["lightfoot policy list", "the whole pack"],
    ["lightfoot policy show ENV-DE-PUE-NEW", "conditions, dated limits, sources, fixtures"],
    ["lightfoot policy new OWN-PUE-MAX --into ./our-rules", "a rule to start from"],
    ["lightfoot policy test --pack ./our-rules", "your own rules with their fixtures"],
    ["lightfoot policy diff --as-of 2026-11-23 --as-of 2027-07-01", "what begins, ends and changes between two days"],
    ["lightfoot policy diff ENV-DE-DRAFT-2026 --as-of 2027-07-01", "what a draft law would change"],
  ]);
}

function days(text: string, before: readonly string[]): string[] {
  return [...before, parseDay(text)];
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

async function create(context: ActionContext, id: string, { into }: { readonly into: string }): Promise<void> {
  const [{ ruleSchema }, { skeletonOf }, { writeFileAtomic }, { mkdir, access }] = await Promise.all([
    import("../../policy/rules/rule-schema.ts"),
    import("../../policy/rules/skeleton.ts"),
    import("../../io/atomic-write.ts"),
    import("node:fs/promises"),
  ]);
  if (!ruleSchema.shape.id.safeParse(id).success) {
    throw new LightfootError("E_USAGE", `'${id}' is no id of a rule`, {
      hint: "Capital letters, digits and hyphens, e.g. OWN-PUE-MAX.",
    });
  }
  const { rules } = await packOf({ pack: [] });
  if (rules.some(({ rule }) => rule.id === id)) {
    throw new LightfootError("E_USAGE", `a rule of the pack is called '${id}' already`, {
      hint: `Begin with your own name, e.g. OWN-${id}.`,
    });
  }
  const file = join(into, `${id.toLowerCase()}.yaml`);
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) {
    throw new LightfootError("E_USAGE", `${file} is there already`, {
      hint: "Take another id, or move the file away.",
    });
  }
  const { fileError } = await import("../../io/file-range.ts");
  try {
    await mkdir(into, { recursive: true });
    await writeFileAtomic(file, skeletonOf(id, today()));
  } catch (thrown) {
    throw fileError(thrown, file);
  }
  context.result({ file }, () => `${file}\nChange it, then: lightfoot policy test --pack ${into}`);
}

interface DiffFlags extends PackFlags {
  readonly asOf: readonly string[];
}

const today = (): string => new Date().toISOString().slice(0, 10);

async function diff(context: ActionContext, proposals: readonly string[], flags: DiffFlags): Promise<void> {
  const [first = today(), second = first, ...more] = flags.asOf;
  if (more.length > 0 || (first === second && proposals.length === 0)) {
    throw new LightfootError("E_USAGE", "there are no two sides to compare", {
      hint: "Give --as-of twice, or a draft law such as ENV-DE-DRAFT-2026.",
    });
  }
  const { diffPack } = await import("../../policy/rules/diff.ts");
  const before = { asOf: first, proposals: [] };
  const after = { asOf: second, proposals };
  const changes = diffPack(await packOf(flags), before, after);
  const head = ["rule", "what", "value", "before", "after", "reference"].map((title) => ({ title }));
  const number = (value: number | null): string => (value === null ? "-" : String(value));
  const rows = changes.flatMap(({ id, what, parameters }) =>
    parameters.length === 0
      ? [[id, what, "", "", "", ""]]
      : parameters.map(({ name, unit, before: was, after: is, ref }) => {
          const value = unit === "1" ? name : `${name}, ${unit}`;
          return [id, what, value, number(was), number(is), ref];
        }),
  );
  const under = proposals.length === 0 ? "" : ` with ${proposals.join(", ")}`;
  context.result({ before, after, changes }, () =>
    [
      `From ${first} to ${second}${under}: ${changes.length} rule${changes.length === 1 ? "" : "s"}`,
      ...(rows.length === 0 ? [] : ["", formatTable(head, rows, context.columns)]),
    ].join("\n"),
  );
}
