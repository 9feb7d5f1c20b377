// `lightfoot verify`: recomputes somebody else's footprint and lists what does not hold; may depend on this room, quantity, errors and footprint.
import { Option, type Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { CheckGroup } from "../../footprint/verify/check.ts";
import type { ReportFormat, Verification } from "../../footprint/verify/verification-schema.ts";
import { formatCount } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { wrapText } from "../wrap-text.ts";

interface VerifyFlags {
  readonly format?: ReportFormat;
  readonly all: boolean;
}

// Written out, because the schema's module loads zod and `--help` must not.
const FORMATS: readonly ReportFormat[] = [
  "codecarbon",
  "impact-framework",
  "model-card",
  "cyclonedx",
  "sci",
  "statement",
];

/** Adds the verb `verify` to the program. */
export function registerVerify(program: Command): void {
  const command = program
    .command("verify")
    .description("recompute somebody else's footprint report and list what does not hold")
    .argument(
      "<report>",
      "CodeCarbon CSV, Impact Framework YAML, model card, CycloneDX JSON, SCI statement (YAML, JSON, Markdown)",
    )
    .addOption(new Option("--format <format>", "left out, told from the content").choices(FORMATS))
    .option("--all", "list the checks that hold, too", false)
    .action(runAction(verify));
  withExamples(command, [
    ["lightfoot verify emissions.csv", "sums, powers, PUE, water and intensity of CodeCarbon runs"],
    ["lightfoot verify README.md", "co2_eq_emissions of a model card against its own text"],
    ["lightfoot verify sci-report.md --json", "a written SCI statement; exit 1 when a number in it is wrong"],
  ]);
}

async function verify(context: ActionContext, file: string, flags: VerifyFlags): Promise<void> {
  const { verifyReport } = await import("../../footprint/verify/verify-report.ts");
  const { REPORT_FORMATS } = await import("../../footprint/verify/verification-schema.ts");
  context.progress.phase(`Verifying ${file}`);
  const report = await verifyReport(file, { format: flags.format });
  context.result(report, () => describe(report, REPORT_FORMATS[report.format], flags.all, context.columns));
  if (!report.holds) {
    const { errors } = report.counts;
    throw new LightfootError("E_VERIFY", `${errors} ${errors === 1 ? "number does" : "numbers do"} not hold`, {
      where: { file },
    });
  }
}

const RANK = { error: 0, warning: 1, note: 2 } as const;
const MARK = { error: "✗ wrong", warning: "! doubtful", note: "· note" } as const;

function describe(report: Verification, title: string, all: boolean, columns: number): string {
  const { counts } = report;
  const failures = report.checks
    .filter(({ outcome }) => outcome === "fails")
    .toSorted((left, right) => RANK[left.severity] - RANK[right.severity]);
  const rest = report.checks.filter(({ outcome }) => outcome === "not possible" || (all && outcome === "holds"));
  const total = report.checks.reduce((sum, { count }) => sum + count, 0);
  const lines = [`${report.file}  (${title})`, ""];
  for (const check of failures) lines.push(...describeCheck(MARK[check.severity], check, columns));
  for (const check of rest) {
    lines.push(...describeCheck(check.outcome === "holds" ? "✓ holds" : "? not possible", check, columns));
  }
  const { holds, errors, warnings, notes, notPossible } = counts;
  const parts = [
    [holds, "hold"],
    [errors, "wrong"],
    [warnings, "doubtful"],
    [notes, "notes"],
    [notPossible, "not possible"],
  ] as const;
  lines.push(
    `${formatCount(total)} checks: ${parts.map(([count, name]) => `${formatCount(count)} ${name}`).join(", ")}`,
  );
  return lines.join("\n");
}

function describeCheck(
  mark: string,
  { where, message, stated, recomputed, code, count }: CheckGroup,
  columns: number,
): string[] {
  const place = [where.line === undefined ? undefined : `line ${where.line}`, where.path].filter(Boolean).join(", ");
  const indent = "    ";
  const body = wrapText(message, Math.max(40, columns - indent.length)).map((line) => `${indent}${line}`);
  const values = [
    ...(stated === null ? [] : [`${indent}stated      ${stated}`]),
    ...(recomputed === null ? [] : [`${indent}recomputed  ${recomputed}`]),
  ];
  const more = count === 1 ? "" : `, and ${formatCount(count - 1)} more like it`;
  return [`${mark}  ${code}${place === "" ? "" : `  (${place}${more})`}`, ...body, ...values, ""];
}
