// `lightfoot scan`: code in checkpoints and identifiers in data, found without running anything; may depend on this room, policy and errors.
import type { Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { CheckpointReport, DataReport, ScanDocument } from "../../policy/scan/scan-schema.ts";
import { formatCount } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { wrapText } from "../wrap-text.ts";

interface ScanFlags {
  readonly allow: readonly string[];
  readonly all: boolean;
}

/** Adds the verb `scan` to the program. */
export function registerScan(program: Command): void {
  const command = program
    .command("scan")
    .description("find code in checkpoints and identifiers of persons in data, without running anything")
    .argument("<paths...>", "files and folders: pickles, PyTorch and NumPy files; CSV, JSON Lines, text")
    .option(
      "--allow <module.name>",
      "an import you vouch for; repeatable, and recorded in the result",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option("--all", "list files in which nothing was found, and files that were skipped, too", false)
    .action(runAction(scan));
  withExamples(command, [
    ["lightfoot scan pytorch_model.bin", "what loading this checkpoint would import and call"],
    ["lightfoot scan model/ calibration.csv", "a folder and a file; exit 1 when something is found"],
    ["lightfoot scan model.joblib --allow sklearn.linear_model._base.LinearRegression", "vouch for an import"],
  ]);
}

async function scan(context: ActionContext, paths: readonly string[], flags: ScanFlags): Promise<void> {
  const { scanPaths } = await import("../../policy/scan/scan.ts");
  const document = await scanPaths(paths, {
    allow: flags.allow,
    signal: context.signal,
    onFile: (file) => {
      context.progress.phase(`Scanning ${file}`);
    },
  });
  context.result(document, () => describe(document, flags.all, context.columns));
  const { unsafeOpcodes, directIdentifiers, incomplete } = document.counts;
  if (unsafeOpcodes + directIdentifiers + incomplete === 0) return;
  const what = [
    [unsafeOpcodes, "unsafe opcode"],
    [directIdentifiers, "direct identifier"],
    [incomplete, "incomplete scan"],
  ] as const;
  const parts = what
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${formatCount(count)} ${name}${count === 1 ? "" : "s"}`);
  throw new LightfootError("E_SCAN", parts.join(", "), {
    hint:
      unsafeOpcodes === 0
        ? undefined
        : "Do not load a checkpoint with findings; convert it to safetensors in a place where it can do no harm.",
  });
}

const MAX_LISTED = 20;

function describe(document: ScanDocument, all: boolean, columns: number): string {
  const { checkpoints, data, skipped, counts, limits } = document;
  const isListed = ({ outcome }: CheckpointReport | DataReport): boolean => all || outcome !== "nothing found";
  const lines = [
    ...checkpoints.filter(isListed).flatMap((report) => [...describeCheckpoint(report, columns), ""]),
    ...data.filter(isListed).flatMap((report) => [...describeData(report, columns), ""]),
    ...(all ? skipped.map(({ file, reason }) => `·  ${file}  skipped: ${reason}`) : []),
    ...(all && skipped.length > 0 ? [""] : []),
    `${formatCount(counts.checkpoints)} checkpoints: ${formatCount(counts.unsafeOpcodes)} unsafe opcodes.  ` +
      `${formatCount(counts.dataFiles)} data files: ${formatCount(counts.directIdentifiers)} direct identifiers.  ` +
      `${formatCount(counts.incomplete)} incomplete, ${formatCount(skipped.length)} skipped.`,
    "",
    ...limits.flatMap((text) => wrapText(text, columns)),
  ];
  return lines.join("\n");
}

const MARK = { found: "✗", incomplete: "?", "nothing found": "✓" } as const;

function describeCheckpoint(report: CheckpointReport, columns: number): string[] {
  const { file, outcome, container, pickles, opcodes, findings } = report;
  const head = `${MARK[outcome]}  ${file}  (${container}, ${formatCount(pickles)} ${pickles === 1 ? "pickle" : "pickles"}, ${formatCount(opcodes)} opcodes)  ${outcome}`;
  const rows = findings.slice(0, MAX_LISTED).map(({ opcode, offset, target, reason, entry, within }) => {
    const place = [entry, within === null ? undefined : `pickle at byte ${within}`, `byte ${offset}`];
    return `    ${opcode.padEnd(12)}  ${target ?? "(unknown)"}  ${reason}  [${place.filter((part) => part != null).join(", ")}]`;
  });
  return [head, ...rows, ...more(findings.length), ...describeIncomplete(report, columns)];
}

function describeData(report: DataReport, columns: number): string[] {
  const { file, outcome, format, counts, places } = report;
  const parts = Object.entries(counts).map(([kind, count]) => `${formatCount(count)} ${kind}`);
  const rows = places.slice(0, MAX_LISTED).map(({ kind, line, column, path, mask }) => {
    const where = [
      line === null ? undefined : `line ${line}`,
      column === null ? undefined : `column ${column}`,
      path ?? undefined,
    ];
    return `    ${kind.padEnd(26)}  ${where.filter((part) => part !== undefined).join(", ")}  ${mask}`;
  });
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return [
    `${MARK[outcome]}  ${file}  (${format})  ${parts.length === 0 ? outcome : parts.join(", ")}`,
    ...rows,
    ...more(total, rows.length),
    ...describeIncomplete(report, columns),
  ];
}

const more = (total: number, listed = Math.min(total, MAX_LISTED)): string[] =>
  total > listed ? [`    and ${formatCount(total - listed)} more; --json has places of up to 10 of each kind`] : [];

const describeIncomplete = ({ incomplete }: CheckpointReport | DataReport, columns: number): string[] =>
  incomplete
    .slice(0, MAX_LISTED)
    .flatMap((text) => wrapText(`not scanned: ${text}`, Math.max(40, columns - 4)).map((line) => `    ${line}`));
