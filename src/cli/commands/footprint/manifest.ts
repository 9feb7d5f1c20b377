// `lightfoot footprint manifest`: runs an Impact Framework manifest and tells where its numbers are wrong; may depend on the room cli, footprint, quantity and errors.
import { spawn } from "node:child_process";
import type { Command } from "commander";
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { ImpactFinding } from "../../../footprint/impact-framework/findings.ts";
import type { ImpactDocument } from "../../../footprint/impact-framework/impact-schema.ts";
import { formatCount, formatFigure } from "../../../quantity/format.ts";
import { runAction, type ActionContext } from "../../action.ts";
import { withExamples } from "../../help.ts";
import { formatTable } from "../../terminal-table.ts";
import { wholeNumber } from "../../whole-number.ts";
import { wrapText } from "../../wrap-text.ts";

interface ManifestFlags {
  readonly output?: string;
  readonly corrected: boolean;
  readonly check: boolean;
  readonly allowShell: boolean;
  readonly allowFetch: boolean;
  readonly seed: number;
}

const MAX_DOWNLOAD_BYTES = 256 * 2 ** 20;

/** Adds `manifest` below the verb `footprint`. */
export function registerManifest(footprint: Command): void {
  const command = footprint
    .command("manifest")
    .description("run an Impact Framework manifest: its numbers, and a finding where they are wrong")
    .argument("<file>", "a manifest, or an output of if-run to recompute (YAML)")
    .option("--output <file>", "write the computed manifest in the framework's own format")
    .option("--corrected", "write the right numbers to --output instead of the framework's own", false)
    .option("--check", "exit 1 when a number is wrong", false)
    .option("--allow-shell", "let Shell plugins run their commands", false)
    .option("--allow-fetch", "let plugins download http(s) tables", false)
    .option("--seed <n>", "of the random numbers that MockObservations makes", wholeNumber(0), 1)
    .action(runAction(runManifest));
  withExamples(command, [
    ["lightfoot footprint manifest pipeline.yml", "totals and findings"],
    [
      "lightfoot footprint manifest pipeline.yml --output computed.yml --json",
      "and the computed manifest, for if-check",
    ],
    ["lightfoot footprint manifest computed.yml --check", "recompute somebody's outputs; exit 1 when they do not hold"],
  ]);
}

async function runManifest(context: ActionContext, file: string, flags: ManifestFlags): Promise<void> {
  if (flags.corrected && flags.output === undefined) {
    throw new LightfootError("E_USAGE", "--corrected says what --output writes, and --output is missing", {
      hint: `lightfoot footprint manifest ${file} --corrected --output corrected.yml`,
    });
  }
  const { readImpactManifest, writeImpactManifest } = await import("../../../footprint/exchange/impact-framework.ts");
  const { localPorts } = await import("../../../footprint/exchange/impact-framework-ports.ts");
  const { recompute } = await import("../../../footprint/impact-framework/recompute.ts");
  const { impactDocument } = await import("../../../footprint/impact-framework/impact-document.ts");
  context.progress.phase(`Reading ${file}`);
  const manifest = await readImpactManifest(file);
  context.progress.phase(`Computing ${formatCount(manifest.observationCount)} observations`);
  const run = await recompute(manifest, {
    signal: context.signal,
    ports: localPorts(file, {
      seed: flags.seed,
      ...(flags.allowShell && { runCommand: (command, input) => runCommand(command, input, context.signal) }),
      ...(flags.allowFetch && { fetchText: (url) => fetchText(url, context.signal) }),
    }),
  });
  if (flags.output !== undefined) {
    context.progress.phase(`Writing ${flags.output}`);
    const tree = flags.corrected ? (run.corrected ?? run.tree) : run.tree;
    const corrected = flags.corrected ? " --corrected" : "";
    await writeImpactManifest(manifest, tree, flags.output, `lightfoot footprint manifest ${file}${corrected}`);
  }
  const document = impactDocument(run, flags.seed);
  context.result(document, () => describe(document, context.columns), document.assumptions);
  const wrong = document.counts.errors + (document.differences?.length ?? 0);
  if (flags.check && wrong > 0) {
    throw new LightfootError("E_IMPACT_FINDINGS", `${wrong} ${wrong === 1 ? "number is" : "numbers are"} wrong`, {
      where: { file },
    });
  }
}

/** Without a shell in between, as the framework itself starts it: the first word is the program. */
function runCommand(command: string, input: string, signal: AbortSignal): Promise<string> {
  const [program = "", ...words] = command.split(" ").filter((word) => word !== "");
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(
        new LightfootError("E_IMPACT", `the command '${command}' failed: ${why}`, {
          hint: "Run it by hand to see why.",
        }),
      );
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], signal });
    const printed: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => printed.push(chunk));
    child.on("error", (error) => fail(error.message));
    child.on("close", (code) =>
      code === 0 ? resolve(Buffer.concat(printed).toString("utf8")) : fail(`it ended with ${code ?? "a signal"}`),
    );
    // A command that does not read its input closes the pipe; what it printed still counts.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

async function fetchText(url: string, signal: AbortSignal): Promise<string> {
  const failed = (why: string, cause?: unknown) =>
    new LightfootError("E_NETWORK", `${url} could not be downloaded: ${why}`, {
      cause,
      hint: "Download it by hand and give the local path as 'filepath'.",
    });
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw failed(cause, error);
  }
  if (!response.ok) throw failed(`HTTP ${response.status}`);
  if (Number(response.headers.get("content-length") ?? 0) > MAX_DOWNLOAD_BYTES) throw failed("it is too large");
  const text = await response.text();
  if (text.length > MAX_DOWNLOAD_BYTES) throw failed("it is too large");
  return text;
}

const MARK = { error: "✗ wrong", warning: "! doubtful", note: "· note" } as const;
const MAX_ROWS = 25;

const counted = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;

function describe(document: ImpactDocument, columns: number): string {
  const { totals, findings, counts, differences } = document;
  const lines = [
    `${document.name}  (${document.file})`,
    `${counted(document.observations, "observation")} in ${counted(document.components, "component")}, ${counted(document.outputs, "output")}`,
    "",
  ];
  if (totals.length === 0) {
    lines.push("No totals: the manifest asks for no aggregation. Outputs are written with --output.", "");
  } else {
    const anyCorrected = totals.some(({ corrected, isUndefined }) => corrected !== null || isUndefined);
    const rows = totals
      .slice(0, MAX_ROWS)
      .map((total) => [
        total.path,
        total.metric,
        total.asWritten === null ? "not a number" : formatFigure(total.asWritten),
        ...(anyCorrected
          ? [total.corrected === null ? (total.isUndefined ? "undefined" : "same") : formatFigure(total.corrected)]
          : []),
      ]);
    const heads = [
      { title: "node" },
      { title: "total of" },
      { title: "as written", align: "right" as const },
      ...(anyCorrected ? [{ title: "corrected", align: "right" as const }] : []),
    ];
    lines.push(formatTable(heads, rows, columns));
    const more = totals.length + document.totalsLeftOut - rows.length;
    if (more > 0) lines.push(`… and ${formatCount(more)} more; --json lists ${formatCount(totals.length)}`);
    lines.push("");
  }
  for (const finding of findings.slice(0, MAX_ROWS)) lines.push(...describeFinding(finding, columns));
  if (findings.length > MAX_ROWS) lines.push(`… and ${findings.length - MAX_ROWS} more findings; --json lists all`, "");
  for (const { path, stated, recomputed } of (differences ?? []).slice(0, MAX_ROWS)) {
    lines.push(`✗ stated otherwise  ${path}`, `    stated      ${stated}`, `    recomputed  ${recomputed}`, "");
  }
  lines.push(
    `${counts.errors} wrong, ${counts.warnings} doubtful, ${counts.notes} notes` +
      (differences === null ? "" : `; ${differences.length} stated outputs that the inputs do not give`),
  );
  return lines.join("\n");
}

function describeFinding(finding: ImpactFinding, columns: number): string[] {
  const { where, says, right, count, factor } = finding;
  const place = [where.line === undefined ? undefined : `line ${where.line}`, where.path].filter(Boolean).join(", ");
  const indent = "    ";
  const times = count > 1 ? `, ${formatCount(count)} times` : "";
  const effect = factor === null || factor === 0 ? "" : `  (× ${Number(factor.toPrecision(3))})`;
  return [
    `${MARK[finding.severity]}  ${finding.code}  (${place}${times})`,
    ...wrapText(finding.message, Math.max(40, columns - indent.length)).map((line) => `${indent}${line}`),
    ...(says === null ? [] : [`${indent}says   ${says}${effect}`]),
    ...(right === null ? [] : [`${indent}right  ${right}`]),
    "",
  ];
}
