// `lightfoot ledger export`: runs in a form that other tools read; may depend on this room, errors, io and ledger.
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { RunTelemetry } from "../../../ledger/export/telemetry.ts";
import { WORKING_VERBS } from "../../../ledger/records.ts";
import { formatCount } from "../../../quantity/format.ts";
import type { ActionContext } from "../../action.ts";
import type { Address } from "./address.ts";
import { withLedger, type LedgerFlags } from "./open.ts";

export const EXPORT_FORMATS = ["csv", "parquet", "prometheus", "otlp", "codecarbon", "grafana"] as const;

interface ExportFlags extends LedgerFlags {
  readonly format: (typeof EXPORT_FORMATS)[number];
  readonly run?: string;
  readonly out?: string;
  readonly listen?: Address;
}

export async function exportLedger(context: ActionContext, flags: ExportFlags): Promise<void> {
  if (context.json) {
    throw new LightfootError("E_USAGE", "--json does not go with export: --format says what is written");
  }
  if (flags.listen !== undefined) await listen(context, flags, flags.listen);
  else if (flags.format === "csv" || flags.format === "parquet") await exportSamples(context, flags, flags.format);
  else await exportText(context, flags, flags.format);
}

async function listen(context: ActionContext, flags: ExportFlags, address: Address): Promise<void> {
  if (flags.format !== "prometheus" || flags.out !== undefined) {
    throw new LightfootError("E_USAGE", "--listen goes with --format prometheus and without --out");
  }
  const { serveMetrics } = await import("./listen.ts");
  // A mistake in --ledger or --run shows now, not at the first scrape.
  await readRuns(context, flags);
  await serveMetrics(context, address, () => readRuns({ ...context, note: () => {} }, flags));
}

async function exportSamples(context: ActionContext, flags: ExportFlags, format: "csv" | "parquet"): Promise<void> {
  const { writeSamples } = await import("../../../ledger/export/samples.ts");
  const { findRun } = await import("../../../ledger/runs.ts");
  if (flags.out === undefined && process.stdout.isTTY && format === "parquet") {
    throw new LightfootError("E_USAGE", "Parquet is no text for a terminal", { hint: "Add --out samples.parquet." });
  }
  const { run: wanted } = flags;
  const run = await withLedger(context, flags.ledger, async (query) =>
    wanted === undefined ? undefined : findRun(query, wanted, context.signal),
  );
  if (flags.out !== undefined) {
    const rows = await writeSamples(flags.ledger, format, flags.out, run);
    context.note(`Wrote ${formatCount(rows)} samples to ${flags.out}.`);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-export-"));
  try {
    await writeSamples(flags.ledger, format, join(folder, "samples"), run);
    await pipeline(createReadStream(join(folder, "samples")), process.stdout, { end: false });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type TextFormat = Exclude<ExportFlags["format"], "csv" | "parquet">;

async function exportText(context: ActionContext, flags: ExportFlags, format: TextFormat): Promise<void> {
  const { writeFileAtomic } = await import("../../../io/atomic-write.ts");
  const text = await render(context, flags, format);
  if (flags.out === undefined) {
    process.stdout.write(text);
    return;
  }
  await writeFileAtomic(flags.out, text);
  context.note(`Wrote ${flags.out}.`);
}

async function render(context: ActionContext, flags: ExportFlags, format: TextFormat): Promise<string> {
  if (format === "grafana") return (await import("../../../ledger/export/grafana.ts")).grafanaDashboard();
  const runs = await readRuns(context, flags);
  if (format === "otlp") return (await import("../../../ledger/export/otlp.ts")).formatOtlp(runs);
  if (format === "prometheus") return (await import("../../../ledger/export/prometheus.ts")).formatPrometheus(runs);
  return (await import("../../../ledger/export/codecarbon.ts")).formatEmissionsCsv(runs);
}

async function readRuns(context: ActionContext, flags: ExportFlags): Promise<RunTelemetry[]> {
  const { findRun, readRunDetails } = await import("../../../ledger/runs.ts");
  const { telemetryOf } = await import("../../../ledger/export/telemetry.ts");
  const { run: wanted } = flags;
  return withLedger(context, flags.ledger, async (query) => {
    const run = wanted === undefined ? undefined : await findRun(query, wanted, context.signal);
    const runs = await readRunDetails(query, flags.ledger, run, context.signal);
    // What `analyze` or `footprint` say is not energy that they used.
    return runs.filter(({ verb }) => WORKING_VERBS.includes(verb)).map(telemetryOf);
  });
}
