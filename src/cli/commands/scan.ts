// `lightfoot scan`: code in checkpoints, identifiers in data, signatures and licenses, found without running anything; may depend on this room, policy, io and errors.
import type { Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { CheckpointReport, DataReport, ScanDocument } from "../../policy/scan/scan-schema.ts";
import { formatCount } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { wrapText } from "../wrap-text.ts";

interface ScanFlags {
  readonly allow: readonly string[];
  readonly publicKey?: string;
  readonly trustRoot?: string;
  readonly all: boolean;
}

/** Adds the verb `scan` to the program. */
export function registerScan(program: Command): void {
  const command = program
    .command("scan")
    .description(
      "find code in checkpoints, identifiers of persons in data, signatures that do not hold and licenses of weights, without running anything",
    )
    .argument("<paths...>", "files and folders: pickles, PyTorch and NumPy files; CSV, JSON Lines, text")
    .option(
      "--allow <module.name>",
      "an import you vouch for; repeatable, and recorded in the result",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option("--public-key <pem>", "the key that must have signed the model (model.sig, OpenSSF)")
    .option("--trust-root <pem>", "root certificates to which the signer's must lead")
    .option("--all", "list files in which nothing was found, and files that were skipped, too", false)
    .action(runAction(scan));
  withExamples(command, [
    ["lightfoot scan pytorch_model.bin", "what loading this checkpoint would import and call"],
    ["lightfoot scan model/ calibration.csv", "a folder and a file; exit 1 when something is found"],
    ["lightfoot scan model/ --public-key signer.pub.pem", "is model.sig of these files, and by this key?"],
    ["lightfoot scan model.joblib --allow sklearn.linear_model._base.LinearRegression", "vouch for an import"],
  ]);
}

async function scan(context: ActionContext, paths: readonly string[], flags: ScanFlags): Promise<void> {
  const { scanPaths } = await import("../../policy/scan/scan.ts");
  const document = await scanPaths(paths, {
    allow: flags.allow,
    trusted: await readTrusted(flags),
    signal: context.signal,
    onFile: (file) => {
      context.progress.phase(`Scanning ${file}`);
    },
  });
  context.result(document, () => describe(document, flags.all, context.columns));
  const { unsafeOpcodes, directIdentifiers, incomplete, invalidSignatures } = document.counts;
  if (unsafeOpcodes + directIdentifiers + incomplete + invalidSignatures === 0) return;
  const what = [
    [unsafeOpcodes, "unsafe opcode"],
    [directIdentifiers, "direct identifier"],
    [incomplete, "incomplete scan"],
    [invalidSignatures, "invalid signature"],
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

/** PEM files of whom the user trusts, named by `scan` and `check` alike. */
export async function readTrusted({ publicKey, trustRoot }: Pick<ScanFlags, "publicKey" | "trustRoot">) {
  const { createPublicKey } = await import("node:crypto");
  const { readText } = await import("../../io/read-text.ts");
  const pem = async (file: string, label: string): Promise<string> => {
    const text = await readText(file);
    if (text?.includes(`-----BEGIN ${label}-----`) === true) return text;
    throw new LightfootError("E_USAGE", `'${file}' holds no ${label.toLowerCase()} in PEM`, { where: { file } });
  };
  const key = publicKey === undefined ? undefined : await pem(publicKey, "PUBLIC KEY");
  if (key !== undefined && createPublicKey(key).asymmetricKeyType !== "ec") {
    throw new LightfootError(
      "E_USAGE",
      `'${publicKey}' is no elliptic-curve key, which model signatures are made with`,
    );
  }
  return {
    ...(key === undefined ? {} : { publicKey: key }),
    ...(trustRoot === undefined ? {} : { trustRoot: await pem(trustRoot, "CERTIFICATE") }),
  };
}

const MAX_LISTED = 20;

function describe(document: ScanDocument, all: boolean, columns: number): string {
  const { checkpoints, data, skipped, counts, limits } = document;
  const isListed = ({ outcome }: CheckpointReport | DataReport): boolean => all || outcome !== "nothing found";
  const lines = [
    ...checkpoints.filter(isListed).flatMap((report) => [...describeCheckpoint(report, columns), ""]),
    ...data.filter(isListed).flatMap((report) => [...describeData(report, columns), ""]),
    ...document.signatures.flatMap((report) => [...describeSignature(report), ""]),
    ...describeLicense(document.license, columns),
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

const SIGNATURE_MARK = { valid: "✓", invalid: "✗", unknown: "?" } as const;

function describeSignature({
  file,
  outcome,
  signer,
  identity,
  reasons,
  files,
}: ScanDocument["signatures"][number]): string[] {
  const of = files === null ? "" : `, ${files.matching} files as signed`;
  const by = identity === null ? signer : `${signer} ${identity.split("\n").join(", ")}`;
  return [`${SIGNATURE_MARK[outcome]}  ${file}  ${outcome} (${by}${of})`, ...reasons.map((reason) => `    ${reason}`)];
}

function describeLicense({ allowsChange, reason, statements }: ScanDocument["license"], columns: number): string[] {
  if (statements.length === 0) return [];
  const mark = allowsChange === null ? "?" : allowsChange ? "✓" : "✗";
  return [
    ...wrapText(`${mark}  license: ${reason}`, columns),
    ...statements.map(({ file, place, license }) => `    ${license ?? "not recognized"}  ${place}: ${file}`),
    "",
  ];
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
