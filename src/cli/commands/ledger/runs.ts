// `lightfoot ledger list` and `show`: the runs, and one in full; may depend on this room, ledger and quantity.
import type { LedgerRun, LedgerRunDetail } from "../../../ledger/documents-schema.ts";
import { formatCount, formatFigure, formatNumber } from "../../../quantity/format.ts";
import type { ActionContext } from "../../action.ts";
import { formatTable } from "../../terminal-table.ts";
import { printable, withLedger, type LedgerFlags } from "./open.ts";

export async function list(context: ActionContext, flags: LedgerFlags): Promise<void> {
  const { listRuns } = await import("../../../ledger/runs.ts");
  const found = await withLedger(context, flags.ledger, (query) => listRuns(query, flags.ledger, context.signal));
  context.result(found, () => {
    if (found.runs.length === 0) return `${flags.ledger} has no runs.`;
    const head = [
      { title: "run" },
      { title: "began" },
      { title: "verb" },
      { title: "what" },
      { title: "took", align: "right" as const },
      { title: "energy", align: "right" as const },
      { title: "outcome" },
    ];
    return formatTable(head, found.runs.map(listRow), context.columns);
  });
}

const shorten = (text: string, characters: number): string =>
  text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;

function listRow(run: LedgerRun): string[] {
  return [
    printable(run.run),
    startOf(run),
    printable(run.verb),
    shorten(printable(run.title), 40),
    run.elapsedSeconds === null ? "" : formatNumber(run.elapsedSeconds, "s"),
    energyOf(run),
    outcomeOf(run),
  ];
}

const startOf = ({ at }: LedgerRun): string => at.replace("T", " ").replace(/\.\d+Z$/, "Z");

const outcomeOf = ({ outcome, exitCode }: LedgerRun): string =>
  exitCode === null || exitCode === 0 ? outcome : `${outcome} (${exitCode})`;

function energyOf({ energy, sampledJoules }: LedgerRun): string {
  if (energy !== null) return `${formatFigure(energy)}, ${energy.method}`;
  return sampledJoules === null ? "" : `${formatNumber(sampledJoules, "J")}, sum of samples`;
}

export async function show(context: ActionContext, run: string, flags: LedgerFlags): Promise<void> {
  const { showRun } = await import("../../../ledger/runs.ts");
  const found = await withLedger(context, flags.ledger, (query) => showRun(query, flags.ledger, run, context.signal));
  const assumptions = found.figures.flatMap(({ figure }) => figure.assumptions);
  context.result(found, () => describe(found, context.columns), assumptions);
}

function describe(run: LedgerRunDetail, columns: number): string {
  const facts: [string, string][] = [
    ["run", printable(run.run)],
    ["what", `${printable(run.verb)}: ${printable(run.title)}`],
    ["command", printable(run.command.join(" "))],
    ["began", `${startOf(run)} on ${printable(run.host)}, lightfoot ${printable(run.version)}`],
    ["outcome", outcomeOf(run)],
    ["took", run.elapsedSeconds === null ? "unknown" : formatNumber(run.elapsedSeconds, "s")],
    ["energy", energyOf(run) || "unknown"],
    ...(run.model === null ? [] : ([["model", printable(run.model)]] as [string, string][])),
    ...run.inputs.map(({ name, digest }): [string, string] => [`input ${printable(name)}`, printable(digest)]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const parts = [facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n")];
  if (run.figures.length > 0) parts.push(figureTable(run, columns));
  if (run.domains.length > 0) parts.push(domainTable(run, columns));
  return parts.join("\n\n");
}

const figureTable = (run: LedgerRunDetail, columns: number): string =>
  formatTable(
    [{ title: "figure" }, { title: "of" }, { title: "value", align: "right" }, { title: "method" }],
    run.figures.map(({ name, subject, figure }) => [
      printable(name),
      printable(subject ?? ""),
      formatFigure(figure),
      figure.method,
    ]),
    columns,
  );

const domainTable = (run: LedgerRunDetail, columns: number): string =>
  formatTable(
    [
      { title: "domain" },
      { title: "kind" },
      { title: "method" },
      { title: "samples", align: "right" },
      { title: "energy", align: "right" },
      { title: "gaps", align: "right" },
      { title: "in total" },
    ],
    run.domains.map(({ label, kind, method, samples, energyJoules, gapSeconds, countsTowardsTotal }) => [
      printable(label),
      printable(kind),
      printable(method),
      formatCount(samples),
      energyJoules === null ? "unknown" : formatNumber(energyJoules, "J"),
      gapSeconds === 0 ? "" : formatNumber(gapSeconds, "s"),
      countsTowardsTotal ? "yes" : "no: contained in another",
    ]),
    columns,
  );
