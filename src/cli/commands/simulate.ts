// `lightfoot simulate`: what policies would change, over all draws of a scenario; may depend on this room, policy, quantity and errors.
import type { Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Pack } from "../../policy/rules/pack.ts";
import type { PolicyResult, Simulation, Spread } from "../../policy/simulate/result-schema.ts";
import { formatCount, formatNumber } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { formatTable } from "../terminal-table.ts";
import { wholeNumber } from "../whole-number.ts";
import { wrapText } from "../wrap-text.ts";

interface SimulateFlags {
  readonly draws?: number;
  readonly seed?: number;
  readonly assumptions?: string;
  readonly pack: readonly string[];
}

/** Adds the verb `simulate` to the program. */
export function registerSimulate(program: Command): void {
  const command = program
    .command("simulate")
    .description(
      "what a carbon price, a standard, a grant or a law would change: savings, rebound, money, over all draws",
    )
    .argument("<scenario>", "a scenario.yaml: actor groups, models, policies")
    .option(
      "--draws <n>",
      "draws of the uncertain numbers; left out, those of the scenario",
      wholeNumber(1, 1_000_000_000),
    )
    .option("--seed <n>", "left out, that of the scenario", wholeNumber(0))
    .option(
      "--pack <folder>",
      "with a 'check' in the scenario: rules of your own, added to those that come along; repeatable",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option("--assumptions <file>", "write every number that went in as CSV")
    .action(runAction(simulate));
  withExamples(command, [
    [
      "lightfoot simulate examples/policy/eu-colocation.yaml",
      "a carbon price, a PUE cap and a model swap side by side",
    ],
    ["lightfoot simulate scenario.yaml --draws 10000 --seed 7 --json", "percentiles, waterfall, tornado, years"],
    ["lightfoot simulate scenario.yaml --pack our-rules", "which rules flip, those of your own among them"],
    ["lightfoot simulate scenario.yaml --assumptions inputs.csv", "the inputs, to hand on with the result"],
  ]);
}

async function simulate(context: ActionContext, file: string, flags: SimulateFlags): Promise<void> {
  const { readScenario } = await import("../../policy/simulate/scenario.ts");
  const { runScenario } = await import("../../policy/simulate/run.ts");
  const read = await readScenario(file);
  if (read.check === undefined && flags.pack.length > 0) {
    throw new LightfootError("E_USAGE", "--pack is for a scenario that asks for rules, and this one has no 'check'", {
      hint: "Add check: { roles: [data-center-operator], evidence: { dc.country: DE } } to the scenario.",
    });
  }
  const scenario = { ...read, draws: flags.draws ?? read.draws, seed: flags.seed ?? read.seed };
  context.progress.phase(`Simulating ${scenario.title}`, scenario.draws, "draws");
  const pack = scenario.check === undefined ? undefined : await packOf(flags);
  let reported = 0;
  const result = runScenario(scenario, {
    onDraw(done) {
      context.signal.throwIfAborted();
      context.progress.advance(done - reported);
      reported = done;
    },
    ...(pack !== undefined && { pack }),
  });
  if (flags.assumptions !== undefined) {
    const { writeFileAtomic } = await import("../../io/atomic-write.ts");
    await writeFileAtomic(flags.assumptions, assumptionsCsv(result));
  }
  context.result(result, () => describe(result, context.columns), result.assumptions);
}

async function packOf(flags: SimulateFlags): Promise<Pack> {
  const { OWN_PACK, readPack } = await import("../../policy/rules/pack.ts");
  return readPack([OWN_PACK, ...flags.pack]);
}

/** Every uncertain number and the scenario it belongs to. */
function assumptionsCsv({ digest, seed, draws, uncertain }: Simulation): string {
  const lines = uncertain.map(({ parameter, value, low, high }) =>
    [digest, seed, draws, parameter, value, low, high].join(","),
  );
  return `${["scenario,seed,draws,parameter,value,low,high", ...lines].join("\n")}\n`;
}

const number = (value: number): string => formatNumber(value, "");
const range = (part: Spread, factor = 1): string =>
  part.p5 === part.p95
    ? number(part.central * factor)
    : `${number(part.p50 * factor)} (${number(part.p5 * factor)} … ${number(part.p95 * factor)})`;
const percent = (part: Spread): string => {
  const text = (value: number): string => (value * 100).toFixed(Math.abs(value) < 0.1 ? 1 : 0);
  return part.p5 === part.p95
    ? `${text(part.central)} %`
    : `${text(part.p50)} (${text(part.p5)} … ${text(part.p95)}) %`;
};

function describe(result: Simulation, columns: number): string {
  const { currency, from, to, draws, seed, groups, baseline } = result;
  const rows = result.policies.map((policy) => [
    policy.id,
    range(policy.emissionsSaving),
    percent(policy.emissionsSavingShare),
    policy.rebound === null ? "–" : percent(policy.rebound),
    `${Math.round(policy.savingFraction * 100)} %`,
    range(policy.publicRevenue, 1e-6),
    range(policy.publicSpend, 1e-6),
  ]);
  const table = formatTable(
    [
      { title: "policy" },
      { title: "tCO2e saved", align: "right" },
      { title: "of baseline", align: "right" },
      { title: "rebound", align: "right" },
      { title: "draws that save", align: "right" },
      { title: `revenue (M ${currency})`, align: "right" },
      { title: `spend (M ${currency})`, align: "right" },
    ],
    rows,
    columns,
  );
  const span = from === to ? String(from) : `${from}–${to}`;
  return [
    `${result.title}, ${span}: ${groups.length} ${groups.length === 1 ? "group" : "groups"}, ${formatCount(draws)} draws, seed ${seed}`,
    `Baseline: ${range(baseline.energy, 1e-6)} GWh, ${range(baseline.emissions)} tCO2e`,
    "",
    table,
    ...result.policies.flatMap((policy) => ["", ...describePolicy(policy, columns), ...describeFlips(policy, columns)]),
    ...describeCheck(result.check, columns),
    "",
    ...wrapText(`${result.notice} Ranges are the 5th to 95th percentile.`, columns),
  ].join("\n");
}

function describePolicy(policy: PolicyResult, columns: number): string[] {
  const {
    waterfall: { baseline, engineering, behavior, policy: after, accounting },
  } = policy;
  const steps: readonly (readonly [string, number])[] = [
    ["baseline", baseline],
    ["engineering", engineering],
    ["behavior", behavior],
    ["with the policy", after],
    ["accounting only", accounting],
  ];
  const width = Math.max(10, Math.min(40, columns - 40));
  const bar = (value: number): string => "█".repeat(Math.round((Math.abs(value) / Math.max(baseline, after)) * width));
  const lines = [`${policy.title} (${STATUS[policy.status]})`];
  for (const [name, value] of steps) {
    if (name === "accounting only" && value === 0) continue;
    const isChange = name !== "baseline" && name !== "with the policy";
    const sign = isChange && value > 0 ? "+" : "";
    lines.push(`  ${name.padEnd(16)}${`${sign}${number(value)} t`.padStart(14)}  ${bar(value)}`);
  }
  if (policy.breakEvenElasticity !== null) {
    lines.push(
      `  The saving is eaten up if demand answers cost with an elasticity below ${policy.breakEvenElasticity.toFixed(2)}.`,
    );
  }
  const [first] = policy.tornado;
  if (first !== undefined) {
    lines.push(
      `  Moved most by ${first.parameter} (${number(first.low)} … ${number(first.high)}): ${number(first.savingAtLow)} … ${number(first.savingAtHigh)} t saved.`,
    );
  }
  return lines;
}

function describeFlips({ flips }: PolicyResult, columns: number): string[] {
  return (flips ?? []).flatMap(({ rule, title, group, before, after, share, moved }) => {
    const why = moved.map((change) => `${change.field} ${number(change.before)} → ${number(change.after)}`).join(", ");
    const text = `Flips ${rule}, ${title.en}, for ${group}: ${OUTCOME[before]} → ${OUTCOME[after]} in ${Math.round(share * 100)} % of the checked draws (${why}).`;
    return wrapText(text, Math.max(40, columns - 2)).map((line) => `  ${line}`);
  });
}

function describeCheck(check: Simulation["check"], columns: number): string[] {
  if (check === null) return [];
  const { asOf, roles, proposals, rules, draws } = check;
  const drafts = proposals.length === 0 ? "" : `, with ${proposals.join(", ")}`;
  const judged = rules.length === 0 ? "no rule hangs on it that could be judged" : `judged: ${rules.join(", ")}`;
  const text = `Rules on ${asOf} for ${roles.join(", ")}${drafts}, each group as one site at its mean PUE, WUE and renewable share, over ${formatCount(draws)} draws; ${judged}.`;
  return ["", ...wrapText(text, columns)];
}

const OUTCOME = {
  pass: "passes",
  fail: "fails",
  unknown: "unknown",
  notApplicable: "does not apply",
  notYetApplicable: "not yet",
  manual: "for a person",
} as const;

const STATUS = { inForce: "in force", proposal: "proposal", idea: "idea" } as const;
